#!/usr/bin/env bash
# Install the requirements of the page's tests: Debian's Chromium with fonts (as root), and
# Playwright and axe in the Python environment .venv, or $1.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
environment=${1:-.venv}
packages=(chromium fonts-dejavu-core fonts-noto-core)

if ! dpkg --status "${packages[@]}" >/dev/null 2>&1; then
  apt-get -qq update
  DEBIAN_FRONTEND=noninteractive apt-get -qq --yes --no-install-recommends install \
    "${packages[@]}" >/dev/null
fi
"$environment/bin/pip" install -q -e '.[test,browser]'
chromium --version
