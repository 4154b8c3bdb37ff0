"""More of PyPI's smpplib: refused binds, separate transmitter and receiver, what each of them may not do, and a rate that is exceeded.
Prints one JSON object of what it saw.

Usage: smpplib_sessions.py PORT SYSTEM_ID PASSWORD SLOW_SYSTEM_ID (an account with the same password and a low rate)
"""
import json
import re
import socket
import sys
import time

import smpplib.client
import smpplib.exceptions

port, system_id, password, slow = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]


def connect():
    client = smpplib.client.Client("127.0.0.1", port, timeout=1, allow_unknown_opt_params=True)
    client.statuses, client.receipts = [], []
    client.set_message_sent_handler(lambda pdu: client.statuses.append(pdu.status))
    client.set_error_pdu_handler(lambda pdu: None)  # the handler above sees it too
    client.set_message_received_handler(lambda pdu: client.receipts.append(pdu.short_message.decode("latin-1")) or 0)
    client.connect()
    return client


def bind_status(how, name, secret):
    """The status that a bind is refused with, or 0."""
    client = connect()
    try:
        getattr(client, how)(system_id=name, password=secret)
        client.unbind()
        return 0
    except smpplib.exceptions.PDUError as error:
        return error.args[1]
    finally:
        client.disconnect()


def submit(client, text):
    client.send_message(source_addr_ton=5, source_addr_npi=0, source_addr="SHOP", dest_addr_ton=1, dest_addr_npi=1,
                        destination_addr="8613800138000", short_message=text, registered_delivery=True)


def read(client, done, seconds=20):
    deadline = time.time() + seconds
    while time.time() < deadline and not done():
        try:
            client.read_once(auto_send_enquire_link=False)
        except socket.timeout:
            pass  # look again


seen = {
    "wrong_password": bind_status("bind_transceiver", system_id, "wrong"),
    "wrong_name": bind_status("bind_transceiver", "nobody", password),
    "right": bind_status("bind_transceiver", system_id, password),
}

tx, rx = connect(), connect()
tx.bind_transmitter(system_id=system_id, password=password)
rx.bind_receiver(system_id=system_id, password=password)
for number in range(20):
    submit(tx, b"number %d" % number)
read(tx, lambda: len(tx.statuses) >= 20)
read(rx, lambda: len(rx.receipts) >= 20)
seen["sent"], seen["receipts"], seen["on_tx"] = tx.statuses, len(rx.receipts), len(tx.receipts)
seen["delivered"] = sum(bool(re.search("stat:DELIVRD", text)) for text in rx.receipts)
for client in (tx, rx):
    client.unbind()
    client.disconnect()

# Far above its rate: what is refused is refused as throttled, and nothing else happens to the session.
fast = connect()
fast.bind_transmitter(system_id=slow, password=password)
for number in range(50):
    submit(fast, b"too many %d" % number)
read(fast, lambda: len(fast.statuses) >= 50)
seen["throttled"] = fast.statuses
fast.unbind()
fast.disconnect()
print(json.dumps(seen))
