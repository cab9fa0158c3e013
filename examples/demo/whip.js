/**
 * WHIP (RFC 9725) and WHEP in their smallest form: one POST with an offer, one answer, DELETE to leave.
 *
 * @import { IncomingMessage, ServerResponse } from 'node:http'
 * @import { Client } from 'sluice'
 * @import { Rooms } from './rooms.js'
 */
import { sendText } from './respond.js';

const MAX_SDP_BYTES = 256 * 1024;

/** The WHIP and WHEP resources of all rooms. */
export class Whip {
  /** @type {Rooms} */
  #rooms;
  /** By path. A client that disconnects removes itself. @type {Map<string, Client>} */
  #resources = new Map();

  /** @param {Rooms} rooms */
  constructor(rooms) {
    this.#rooms = rooms;
  }

  /**
   * @param {IncomingMessage} request
   * @param {ServerResponse} response
   * @param {string} room
   * @param {'whip' | 'whep'} kind `whip` publishes, `whep` receives every track of the room
   * @param {string | undefined} id of the resource; `undefined` on the endpoint itself
   */
  async handle(request, response, room, kind, id) {
    if (id !== undefined) return this.#session(request, response, `/rooms/${room}/${kind}/${id}`);
    if (request.method === 'OPTIONS') {
      return sendText(response, 200, '', { 'Accept-Post': 'application/sdp' });
    }
    if (request.method !== 'POST') {
      return sendText(response, 405, 'POST an SDP offer', { Allow: 'POST, OPTIONS' });
    }
    if (mediaType(request) !== 'application/sdp') {
      return sendText(response, 415, 'the offer must be application/sdp', {
        'Accept-Post': 'application/sdp',
      });
    }
    const offer = await readBody(request);
    if (offer === undefined) {
      return sendText(response, 413, 'the offer is too large', { Connection: 'close' });
    }

    const client = await this.#rooms.enter(room).insert({
      appData: { name: kind.toUpperCase() },
      role: kind === 'whip' ? 'publish' : 'subscribe',
    });
    const path = `/rooms/${room}/${kind}/${client.id}`;
    this.#resources.set(path, client);
    client.on('clientDisconnected', () => this.#resources.delete(path));
    try {
      const answer = await client.acceptOffer(offer);
      sendText(response, 201, answer, {
        'Content-Type': 'application/sdp',
        Location: path,
        ETag: `"${client.id}"`,
      });
    } catch (error) {
      await client.close();
      if (!isBadSdp(error)) throw error;
      sendText(response, 400, error.message);
    }
  }

  /**
   * @param {IncomingMessage} request
   * @param {ServerResponse} response
   * @param {string} path
   */
  async #session(request, response, path) {
    const client = this.#resources.get(path);
    if (!client) return sendText(response, 404, 'no such resource');
    if (request.method === 'DELETE') {
      await client.close();
      return sendText(response, 200, '');
    }
    if (request.method === 'PATCH') {
      if (mediaType(request) !== 'application/trickle-ice-sdpfrag') {
        return sendText(response, 415, 'only application/trickle-ice-sdpfrag');
      }
      const lines = (await readBody(request))?.split(/\r?\n/) ?? [];
      for (const line of lines) {
        if (line.startsWith('a=candidate:')) await client.addIceCandidate(line.slice(2));
      }
      return sendText(response, 204, '');
    }
    return sendText(response, 405, 'DELETE to leave', { Allow: 'DELETE, PATCH' });
  }
}

/** @param {IncomingMessage} request */
function mediaType(request) {
  return request.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
}

/** @param {IncomingMessage} request @returns {Promise<string | undefined>} `undefined` if too large */
async function readBody(request) {
  let body = '';
  // Not destroyed on return: the 413 still has to leave by the same socket.
  for await (const chunk of request.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
    body += chunk;
    if (body.length > MAX_SDP_BYTES) return undefined;
  }
  return body;
}

/** @param {unknown} error @returns {error is Error} */
function isBadSdp(error) {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_SDP');
}
