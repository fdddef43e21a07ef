"""Views, live subscriptions and web pages."""
