"""A WHIP publisher or WHEP player on GStreamer's webrtcbin: `publish URL`, `play URL`, `probe`.

Prints a JSON line with the resource's location, then one with the buffers that arrived, ten times a
second, until it is killed.
"""
import hashlib
import json
import re
import ssl
import subprocess
import sys
import urllib.parse
import urllib.request

import gi

gi.require_version('Gst', '1.0')
gi.require_version('GstWebRTC', '1.0')
gi.require_version('GstSdp', '1.0')
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

VIDEO = 'application/x-rtp,media=video,encoding-name=VP8,clock-rate=90000,payload=96'
AUDIO = 'application/x-rtp,media=audio,encoding-name=OPUS,clock-rate=48000,payload=97'
# RFC 7587 §4.1: an rtpmap of Opus without its two channels names no codec.
AUDIO += ',encoding-params=(string)2'
SEND = f'''webrtcbin name=peer bundle-policy=max-bundle
  videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=30/1
  ! vp8enc deadline=1 keyframe-max-dist=30 ! rtpvp8pay picture-id-mode=2 ! {VIDEO} ! peer.
  audiotestsrc is-live=true ! audioconvert ! audioresample ! opusenc ! rtpopuspay ! {AUDIO} ! peer.'''
ELEMENTS = ['webrtcbin', 'nicesrc', 'dtlsdec', 'srtpdec', 'vp8enc', 'opusenc', 'rtpvp8pay']

Gst.init(None)
if sys.argv[1] == 'probe':
    sys.exit(not all(Gst.ElementFactory.find(name) for name in ELEMENTS))

# webrtcbin's own certificate is RSA, which the server's DTLS does not take: it asks for ECDSA.
PEM = subprocess.run(
    ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
    + ['-subj', '/CN=test', '-days', '30', '-keyout', '-'],
    check=True, capture_output=True, text=True,
).stdout
DER = ssl.PEM_cert_to_DER_cert(PEM[PEM.index('-----BEGIN CERT'):].strip())
FINGERPRINT = hashlib.sha256(DER).digest().hex(':').upper()

verb, url = sys.argv[1:]
received = {'video': 0, 'audio': 0}


def on_negotiation(_):
    peer.emit('create-offer', None, Gst.Promise.new_with_change_func(on_offer, None))


def on_offer(promise, *_):
    # Boxed values borrow from what they were read out of: both must outlive the call.
    reply = promise.get_reply()
    offer = reply.get_value('offer')
    peer.emit('set-local-description', offer, Gst.Promise.new())


def on_gathering(*_):
    if peer.get_property('ice-gathering-state') == GstWebRTC.WebRTCICEGatheringState.COMPLETE:
        GLib.idle_add(post)


def post():
    local = peer.get_property('local-description')
    # The offer names the certificate that was replaced.
    mended = r'\g<1>' + FINGERPRINT
    offer = re.sub('(a=fingerprint:sha-256 ).*', mended, local.sdp.as_text())
    headers = {'Content-Type': 'application/sdp'}
    with urllib.request.urlopen(urllib.request.Request(url, offer.encode(), headers)) as response:
        answer = response.read().decode()
        say({'location': urllib.parse.urljoin(url, response.headers['Location'])})
    _, message = GstSdp.SDPMessage.new_from_text(answer)
    description = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
    peer.emit('set-remote-description', description, Gst.Promise.new())
    GLib.timeout_add(100, lambda: say({'received': received}))
    return False


def on_element(_, __, element):
    factory = element.get_factory()
    if factory is not None and factory.get_name() == 'dtlssrtpdec':
        element.set_property('pem', PEM)


def on_pad(_, pad):
    if pad.direction != Gst.PadDirection.SRC:
        return
    media = pad.get_current_caps().get_structure(0).get_string('media')
    sink = Gst.ElementFactory.make('fakesink')
    sink.set_property('sync', False)
    pipeline.add(sink)
    sink.sync_state_with_parent()
    pad.add_probe(Gst.PadProbeType.BUFFER, on_buffer, media)
    pad.link(sink.get_static_pad('sink'))


def on_buffer(_, __, media):
    received[media] += 1
    return Gst.PadProbeReturn.OK


def say(line):
    print(json.dumps(line), flush=True)
    return True


if verb == 'publish':
    pipeline = Gst.parse_launch(SEND)
    peer = pipeline.get_by_name('peer')
else:
    pipeline = Gst.Pipeline.new('player')
    peer = Gst.ElementFactory.make('webrtcbin', 'peer')
    peer.set_property('bundle-policy', GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
    pipeline.add(peer)
    for caps in (VIDEO, AUDIO):
        direction = GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY
        peer.emit('add-transceiver', direction, Gst.Caps.from_string(caps))
pipeline.connect('deep-element-added', on_element)
peer.connect('on-negotiation-needed', on_negotiation)
peer.connect('notify::ice-gathering-state', on_gathering)
peer.connect('pad-added', on_pad)
pipeline.set_state(Gst.State.PLAYING)
GLib.MainLoop().run()
