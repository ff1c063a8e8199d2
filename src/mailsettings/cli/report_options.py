"""The options of commands that print a connection test."""

import click

recipient_option = click.option(
    "--to", "recipient", metavar="ADDRESS", help="Send the test mail to this address; without it, no mail is sent."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
pem_option = click.option("--show-pem", is_flag=True, help="Also print the server's certificates in PEM format.")
