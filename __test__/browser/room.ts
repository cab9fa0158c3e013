import { fileURLToPath } from 'node:url';
import type { Browser, Page, WebSocketRoute } from 'playwright-core';
import type { Peer, VideoCodec } from '../../ts/browser/index.js';
import type { Demo } from './demo.js';

/** What page/probe.js and the room page put on the page. */
export interface Probe {
  tiles(): readonly Tile[];
  frames(trackId: string, at?: number): readonly Frame[];
  now(): number;
  moving(ms?: number): Promise<number>;
  energy(): Promise<Record<string, number>>;
  transport(): Promise<Transport>;
  mLines(): number;
  highestDtls(): Promise<string>;
}

/** A remote picture on the page. */
export interface Tile {
  readonly trackId: string;
  readonly clientId: string;
  readonly layer: string;
  readonly width: number;
  readonly height: number;
  /** Frames shown. */
  readonly frames: number;
  /** From the tile to its first frame; `undefined` while there is none. */
  readonly firstFrameMs: number | undefined;
}

/** One shown frame. */
export interface Frame {
  readonly at: number;
  readonly width: number;
  readonly height: number;
}

/** What DTLS and ICE agreed on. */
export interface Transport {
  readonly tlsVersion: string;
  readonly srtpCipher: string;
  readonly protocol: string;
  readonly ufrag: string;
}

declare const probe: Probe;
declare const peer: Peer;

/** The query of the room page. */
export interface Visit {
  readonly name: string;
  readonly video?: VideoCodec | 'none';
  readonly simulcast?: boolean;
  readonly audio?: boolean;
  /** `false` only receives. */
  readonly device?: boolean;
  /** A drawn person in place of the test pattern. */
  readonly drawn?: boolean;
  /** Of the camera; the width follows at 16:9. Default 180. */
  readonly height?: number;
  /** Joins by a click on the page at rest, not while it loads. */
  readonly click?: boolean;
  /** Sees the signaling before anything is sent. */
  readonly onSocket?: (socket: WebSocketRoute) => void;
}

/** A participant: one page of the demo that has joined. */
export class Visitor {
  readonly page: Page;
  readonly name: string;

  private constructor(page: Page, name: string) {
    this.page = page;
    this.name = name;
  }

  /** Opens the page and joins. */
  static async join(browser: Browser, demo: Demo, room: string, visit: Visit): Promise<Visitor> {
    const page = await browser.newPage();
    for (const script of ['probe', ...(visit.drawn ? ['camera'] : [])]) {
      const path = fileURLToPath(new URL(`page/${script}.js`, import.meta.url));
      await page.addInitScript({ path });
    }
    if (visit.onSocket) await page.routeWebSocket(/\/signal\?/, visit.onSocket);
    const query = new URLSearchParams({
      join: flag(!visit.click),
      name: visit.name,
      video: visit.video ?? 'vp8',
      simulcast: flag(visit.simulcast ?? false),
      audio: flag(visit.audio ?? true),
      device: flag(visit.device ?? true),
      height: String(visit.height ?? 180),
    });
    await page.goto(`${demo.url}/rooms/${room}?${query.toString()}`);
    if (visit.click) await page.locator('#prejoin [type=submit]').click();
    await page.locator('body[data-state=joined]').waitFor();
    return new Visitor(page, visit.name);
  }

  /** The remote pictures on the page now. */
  tiles(): Promise<readonly Tile[]> {
    return this.page.evaluate(() => probe.tiles());
  }

  /** Waits for exactly `count` remote pictures. */
  async hasTiles(count: number): Promise<readonly Tile[]> {
    return this.until(`${count} tiles`, async () => {
      const tiles = await this.tiles();
      return tiles.length === count ? tiles : undefined;
    });
  }

  /** Waits until `count` remote pictures each show at least one frame. */
  async shows(count: number): Promise<readonly Tile[]> {
    return this.until(`${count} pictures`, async () => {
      const tiles = await this.tiles();
      return tiles.length === count && tiles.every(({ frames }) => frames > 0) && tiles;
    });
  }

  /** Waits until `count` remote pictures have each shown new frames, with pixels that change. */
  async seesMoving(count: number): Promise<readonly Tile[]> {
    const before = new Map((await this.tiles()).map(({ trackId, frames }) => [trackId, frames]));
    return this.until(`${count} moving pictures`, async () => {
      const tiles = await this.tiles();
      const live = tiles.filter(({ trackId, frames }) => frames > 5 + (before.get(trackId) ?? 0));
      if (tiles.length !== count || live.length !== count) return undefined;
      return (await this.page.evaluate(() => probe.moving())) === count ? tiles : undefined;
    });
  }

  /** Waits until the sound of `count` others has brought energy since now. */
  async hears(count: number): Promise<void> {
    const before = await this.page.evaluate(() => probe.energy());
    await this.until(`the sound of ${count}`, async () => {
      const now = Object.entries(await this.page.evaluate(() => probe.energy()));
      return (
        now.filter(([mid, energy]) => energy > (before[mid] ?? 0) + MIN_ENERGY).length === count
      );
    });
  }

  /** The frames of one track shown from now on, for `ms`. */
  async watch(trackId: string, ms: number): Promise<readonly Frame[]> {
    const since = await this.now();
    await this.page.waitForTimeout(ms);
    return this.framesSince(trackId, since);
  }

  /** The frames of one track shown since `at`. */
  framesSince(trackId: string, at: number): Promise<readonly Frame[]> {
    return this.page.evaluate(([id, at]) => probe.frames(id, at), [trackId, at] as const);
  }

  /** The page's clock, in milliseconds. */
  now(): Promise<number> {
    return this.page.evaluate(() => probe.now());
  }

  /** Where the tiles of the page are, its own included. */
  boxes(): Promise<readonly DOMRect[]> {
    return this.page.evaluate(() =>
      [...document.querySelectorAll('.tile:not([hidden])')].map(
        (tile) => tile.getBoundingClientRect().toJSON() as DOMRect,
      ),
    );
  }

  /** What DTLS and ICE agreed on. */
  transport(): Promise<Transport> {
    return this.page.evaluate(() => probe.transport());
  }

  /** Transceivers of the page's connection. */
  mLines(): Promise<number> {
    return this.page.evaluate(() => probe.mLines());
  }

  /** Looks for a new network path. */
  restartIce(): Promise<void> {
    return this.page.evaluate(() => peer.restartIce());
  }

  /** Publishes a second camera. */
  publishAgain(): Promise<void> {
    return this.page.evaluate(async () => {
      const stream = await navigator.mediaDevices.getUserMedia({
        video: { width: 320, height: 180 },
      });
      const [track] = stream.getVideoTracks();
      if (track) await peer.publish(track, { codec: 'vp8' });
    });
  }

  /** Of the page's connection. */
  signalingState(): Promise<RTCSignalingState> {
    return this.page.evaluate(() => peer.peerConnection.signalingState);
  }

  /** The DTLS version that this browser speaks with itself. */
  highestDtls(): Promise<string> {
    return this.page.evaluate(() => probe.highestDtls());
  }

  /** Polls until `check` gives something; the error tells what the page showed last. */
  async until<T>(
    what: string,
    check: () => Promise<T | undefined | false>,
    timeoutMs = PATIENCE_MS,
  ): Promise<T> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const found = await check();
      if (found !== undefined && found !== false) return found;
      if (Date.now() > deadline) {
        const tiles = JSON.stringify(await this.tiles());
        throw new Error(`${this.name} waited in vain for ${what}; tiles: ${tiles}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Presses the page's own button. */
  press(id: 'leave' | 'rejoin' | 'mute' | 'camera'): Promise<void> {
    return this.page.locator(`#${id}`).click();
  }

  /** Closes the page, as a user closes the tab. */
  close(): Promise<void> {
    return this.page.close({ runBeforeUnload: false });
  }
}

function flag(value: boolean): string {
  return value ? '1' : '0';
}

/** The longest time between two frames. */
export function longestGapMs(frames: readonly Frame[]): number {
  const gaps = frames.slice(1).map(({ at }, i) => at - (frames[i]?.at ?? at));
  return Math.max(0, ...gaps);
}

/** Liveness only: on a quiet machine everything waited for comes within a few seconds. */
const PATIENCE_MS = 30_000;

/** One beep of the fake microphone brings about 0.01. */
const MIN_ENERGY = 0.0005;
