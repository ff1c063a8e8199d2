"""The operations of the service, one method each: check the permission, apply the rule, run the transaction.

Free of HTTP, SQL and SMTP.
"""
