#!/usr/bin/env bash
# Install what the tests of the page need: Debian's Chromium with fonts, as root, and
# Playwright and axe into the Python environment of the folder .venv, or of $1.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
environment=${1:-.venv}
packages=(chromium fonts-dejavu-core fonts-noto-core)

if ! dpkg --status "${packages[@]}" >/dev/null 2>&1; then
  apt-get -qq update
  DEBIAN_FRONTEND=noninteractive apt-get -qq --yes --no-install-recommends install \
    "${packages[@]}" >/dev/null
fi
"$environment/bin/pip" install -q -e '.[test,browser]'
chromium --version
