"""One script per measured claim; results as JSON with the machine they were taken on."""
