"""A WHIP publisher on FFmpeg's own muxer: `publish URL [passive|active]`, `probe`.

The role is DTLS's. Prints a JSON line when it is connected and goes on until it is killed. FFmpeg keeps the
resource's location to itself.
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / 'node_modules/.cache/sluice/python'))
import av  # noqa: E402

RATE = 30


def certificate(folder):
    """On P-256 (RFC 8827 §6.5): left to itself this build of FFmpeg takes P-224, which WebRTC does not know."""
    key, cert = f'{folder}/key.pem', f'{folder}/cert.pem'
    curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
    subprocess.run(['openssl', 'req', '-x509', *curve, '-subj', '/CN=whip', '-keyout', key, '-out', cert],
                   check=True, capture_output=True)
    return {'cert_file': cert, 'key_file': key}


def publish(url, role):
    with tempfile.TemporaryDirectory() as folder:
        flags = {'whip_flags': 'dtls_active'} if role == 'active' else {}
        output = av.open(url, 'w', format='whip', options={**certificate(folder), **flags})
        pictures = av.open(f'testsrc2=size=640x360:rate={RATE}', format='lavfi')
        sound = av.open('sine=frequency=440:sample_rate=48000:samples_per_frame=960', format='lavfi')
        video = output.add_stream('libx264', rate=RATE)
        video.width, video.height, video.pix_fmt = 640, 360, 'yuv420p'
        video.options = {'preset': 'ultrafast', 'tune': 'zerolatency', 'profile': 'baseline', 'g': str(RATE)}
        audio = output.add_stream('libopus', rate=48_000)
        audio.layout = 'stereo'
        resampler = av.AudioResampler(format='s16', layout='stereo', rate=48_000)
        frames = pictures.decode(video=0)
        tones = sound.decode(audio=0)
        begin, heard = time.monotonic(), 0.0
        for count, picture in enumerate(frames):
            picture = picture.reformat(format='yuv420p')
            output.mux(video.encode(picture))
            while heard < (count + 1) / RATE:
                samples = next(tones)
                heard += samples.samples / samples.sample_rate
                for part in resampler.resample(samples):
                    output.mux(audio.encode(part))
            if count == 0:
                print(json.dumps({'location': ''}), flush=True)
            time.sleep(max(0.0, begin + (count + 1) / RATE - time.monotonic()))


if sys.argv[1] == 'probe':
    sys.exit('whip' not in av.formats_available)
publish(sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else 'passive')
