"""Twilio's own check of a signature: usage twilio_validate.py TOKEN URL BODY SIGNATURE; prints True or False."""
import sys
from urllib.parse import parse_qsl
from twilio.request_validator import RequestValidator

token, url, body, signature = sys.argv[1:5]
print(RequestValidator(token).validate(url, dict(parse_qsl(body, keep_blank_values=True)), signature))
