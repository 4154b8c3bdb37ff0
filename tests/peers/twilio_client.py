"""Twilio's own client against our door: usage twilio_client.py BASE ACCOUNT KEY CALLBACK. Only the address of its API domain is another; prints JSON."""
import datetime, json, sys, time
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

base, account, key, callback = sys.argv[1:5]


def client(token):
    made = Client(account, token)
    made.api.base_url = base
    return made


told = {}
messages = client(key).messages
made = messages.create(to="+8613800138000", from_="SHOP", body="Hello 雁", status_callback=callback, validity_period=3600)
told["made"] = [made.sid, made.account_sid, made.status, made.body, made.to, made.num_segments, made.date_created.isoformat(), made.direction]
fetched = messages(made.sid).fetch()
told["fetched"] = [fetched.sid, fetched.status in ("queued", "sent", "delivered"), fetched.from_]
later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
planned = messages.create(to="+8613800138001", from_="SHOP", body="later", send_at=later, schedule_type="fixed")
told["planned"] = [planned.status, messages(planned.sid).fetch().status, messages(planned.sid).update(status="canceled").status]


def refused(what):
    try:
        what()
    except TwilioRestException as error:
        return [error.status, error.code]
    return None


told["refused"] = {
    "to": refused(lambda: messages.create(to="12x", from_="SHOP", body="x")),
    "body": refused(lambda: messages.create(to="+8613800138000", from_="SHOP")),
    "from": refused(lambda: messages.create(to="+8613800138000", body="x")),
    "token": refused(lambda: client("not-a-key-that-anybody-gave-out").messages.create(to="+8613800138000", from_="SHOP", body="x")),
    "long": refused(lambda: messages.create(to="+8613800138000", from_="SHOP", body="x" * 1601)),
    "service": refused(lambda: messages.create(to="+8613800138000", messaging_service_sid="MG" + "0" * 32, body="x")),
    "unknown": refused(lambda: messages("SM" + "0" * 32).fetch()),
}
try:
    client("not-a-key-that-anybody-gave-out").messages(made.sid).fetch()
except TwilioRestException as error:
    told["denied"] = error.msg.removeprefix("Unable to fetch record: ")
# Without a callback nobody is told; it can be looked up all the same.
silent = messages.create(to="+8613800138002", from_="SHOP", body="silent")
for _ in range(100):
    told["silent"] = messages(silent.sid).fetch().status
    if told["silent"] == "delivered":
        break
    time.sleep(0.1)
print(json.dumps(told))
