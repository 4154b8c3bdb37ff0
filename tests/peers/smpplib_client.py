"""A client made with PyPI's smpplib: submits texts, waits for their receipts, prints one JSON object of what it saw.

Usage: smpplib_client.py PORT SYSTEM_ID PASSWORD; texts as a JSON array on standard input.
"""
import json
import re
import socket
import sys
import time

import smpplib.client
import smpplib.consts
import smpplib.gsm

port, system_id, password = int(sys.argv[1]), sys.argv[2], sys.argv[3]
texts = json.load(sys.stdin)
accepted, receipts, sent = [], [], 0

client = smpplib.client.Client("127.0.0.1", port, timeout=1, allow_unknown_opt_params=True)
client.set_message_sent_handler(lambda pdu: accepted.append([pdu.status, (pdu.message_id or b"").decode()]))


def received(pdu):
    text = (pdu.short_message or b"").decode("latin-1")
    found = re.search(r"id:(\S+).*stat:(\S+)", text)
    receipts.append({
        "esm_class": pdu.esm_class,
        "id": found.group(1) if found else None,
        "stat": found.group(2) if found else None,
        "tlv_id": (pdu.receipted_message_id or b"").decode().rstrip("\0"),
        "source": pdu.source_addr.decode(),
        "destination": pdu.destination_addr.decode(),
    })
    return 0


client.set_message_received_handler(received)
client.connect()
client.bind_transceiver(system_id=system_id, password=password)
for text in texts:
    parts, coding, esm_class = smpplib.gsm.make_parts(text)
    for part in parts:
        client.send_message(
            source_addr_ton=smpplib.consts.SMPP_TON_ALNUM, source_addr_npi=0, source_addr="SHOP",
            dest_addr_ton=smpplib.consts.SMPP_TON_INTL, dest_addr_npi=smpplib.consts.SMPP_NPI_ISDN,
            destination_addr="8613800138000", short_message=part, data_coding=coding, esm_class=esm_class,
            registered_delivery=True,
        )
        sent += 1
deadline = time.time() + 20
while time.time() < deadline and (len(accepted) < sent or len(receipts) < sum(a[0] == 0 for a in accepted)):
    try:
        client.read_once(auto_send_enquire_link=False)
    except socket.timeout:
        pass  # look at the counts again
client.unbind()
client.disconnect()
print(json.dumps({"accepted": accepted, "receipts": receipts}))
