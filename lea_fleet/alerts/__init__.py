"""Tell operators and other systems what happens: webhooks and mail."""
