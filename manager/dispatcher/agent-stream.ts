// One agent's stream as such: first message in time, bounded rate, congestion, and exactly one end with one log line. What the messages mean
// is session.ts's affair.
import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { Clock, Timer } from '../../lib/clock.ts';
import { ShoalError } from '../../lib/errors.ts';
import type { LogFields, Logger } from '../../lib/log.ts';
import type { RareLog } from '../../lib/rare-log.ts';
import { failCall, MAX_MESSAGE_BYTES } from '../../lib/rpc/index.ts';
import { type AgentMessage, ManagerMessage } from '../../proto/index.ts';
import type { DispatcherSettings } from './settings.ts';

export type SessionCall = Pick<
  ServerDuplexStream<AgentMessage, ManagerMessage | Uint8Array>,
  'on' | 'write' | 'end' | 'emit' | 'pause' | 'resume' | 'getPeer'
>;

export interface AgentStreamEvents {
  /** What it throws ends the stream. */
  readonly onMessage: (message: AgentMessage) => void;
  /** There is room again. */
  readonly onRoom: () => void;
  /** Once, whoever ended it. */
  readonly onEnd: (reason: ShoalError) => void;
}

export interface AgentStreamOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** For streams that never became a session: anybody can open those. */
  readonly warnRarely: RareLog;
  readonly settings: DispatcherSettings;
}

const PATH = 'AgentSession/Session';
/** Longest pause in reading one agent: well below the time after which a node counts as down. */
const MAX_THROTTLE_MS = 1000;

export class AgentStream {
  /** The client's address, without its port. */
  readonly address: string;
  readonly #call: SessionCall;
  readonly #options: AgentStreamOptions;
  readonly #events: AgentStreamEvents;
  #log: Logger;
  #fields: LogFields;
  #isRegistered = false;
  #firstMessage: Timer | undefined;
  #stall: Timer | undefined;
  #throttle: Timer | undefined;
  #tokens: number;
  #tokensAtMs: number;
  #held = false;
  #congested = false;
  #ended = false;

  constructor(call: SessionCall, options: AgentStreamOptions, events: AgentStreamEvents) {
    this.#call = call;
    this.#options = options;
    this.#events = events;
    this.address = withoutPort(call.getPeer());
    this.#fields = { peer: call.getPeer() };
    this.#log = options.log.child(this.#fields);
    this.#tokens = options.settings.inboundBurst;
    this.#tokensAtMs = options.clock.nowMs();
    const { firstMessageMs } = options.settings;
    this.#firstMessage = options.clock.after(firstMessageMs, () => {
      this.end(new ShoalError('invalid_argument', `no Register within ${firstMessageMs / 1000} s`));
    });
    call.on('data', (message: AgentMessage) => {
      this.#receive(message);
    });
    call.on('drain', () => {
      this.#stall?.cancel();
      this.#congested = false;
      if (!this.#ended) events.onRoom();
    });
    call.on('end', () => {
      this.end(undefined);
    });
    call.on('cancelled', () => {
      this.#finish(new ShoalError('cancelled', 'the connection or the call was ended, or a message was refused by the transport'));
    });
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** What is sent now would only wait in memory. Small answers may; assignments and tables are held back. */
  get congested(): boolean {
    return this.#congested;
  }

  /** Adds to what the stream's log line says. */
  name(fields: LogFields): void {
    this.#fields = { ...this.#fields, ...fields };
    this.#log = this.#options.log.child(this.#fields);
  }

  registered(fields: LogFields): void {
    this.name(fields);
    this.#isRegistered = true;
  }

  send(message: ManagerMessage | Uint8Array): void {
    if (this.#ended) return;
    const bytes = message instanceof Uint8Array ? message : ManagerMessage.encode(message);
    if (bytes.length > MAX_MESSAGE_BYTES) {
      const what = `${bytes.length} bytes for one message; at most ${MAX_MESSAGE_BYTES} are sent`;
      this.end(new ShoalError('resource_exhausted', `${what}: the tasks of this node, or the published ports, carry too much text`));
      return;
    }
    if (this.#call.write(bytes) || this.#congested) return;
    this.#congested = true;
    const { sendStallMs } = this.#options.settings;
    this.#stall = this.#options.clock.after(sendStallMs, () => {
      this.end(new ShoalError('unavailable', `the agent took nothing for ${sendStallMs / 1000} s`));
    });
  }

  /** Nothing more is read until `release`. */
  hold(): void {
    this.#held = true;
    this.#call.pause();
  }

  release(): void {
    this.#held = false;
    if (this.#throttle === undefined) this.#call.resume();
  }

  /** Undefined: a regular end. */
  end(error: ShoalError | undefined): void {
    if (this.#ended) return;
    this.#finish(error ?? new ShoalError('cancelled', 'the agent ended its session'));
    if (error === undefined) this.#call.end();
    else failCall(this.#call, error, PATH, this.#log);
  }

  #receive(message: AgentMessage): void {
    if (this.#ended) return;
    this.#firstMessage?.cancel();
    this.#firstMessage = undefined;
    this.#pay(message.message?.case === 'statuses' ? 1 + message.message.value.statuses.length / 50 : 1);
    try {
      this.#events.onMessage(message);
    } catch (error) {
      this.end(ShoalError.from(error));
    }
  }

  /** A client that sends faster than agents do is read more slowly; the rest waits in its own socket. */
  #pay(cost: number): void {
    const { inboundBurst, inboundPerSecond } = this.#options.settings;
    const nowMs = this.#options.clock.nowMs();
    this.#tokens = Math.min(inboundBurst, this.#tokens + ((nowMs - this.#tokensAtMs) / 1000) * inboundPerSecond) - cost;
    this.#tokensAtMs = nowMs;
    if (this.#tokens >= 0 || this.#throttle !== undefined) return;
    this.#options.warnRarely('an agent sends more than is taken; reading it more slowly', this.#fields);
    this.#call.pause();
    this.#throttle = this.#options.clock.after(Math.min(MAX_THROTTLE_MS, (-this.#tokens / inboundPerSecond) * 1000), () => {
      this.#throttle = undefined;
      if (!this.#held && !this.#ended) this.#call.resume();
    });
  }

  #finish(reason: ShoalError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#firstMessage?.cancel();
    this.#stall?.cancel();
    this.#throttle?.cancel();
    const fields = { code: reason.code, reason: reason.message };
    if (!this.#isRegistered) this.#options.warnRarely('an agent was not registered', { ...this.#fields, ...fields });
    else if (reason.code === 'cancelled') this.#log.info('an agent session ended', { reason: reason.message });
    else this.#log.warn('an agent session was ended', fields);
    this.#events.onEnd(reason);
  }
}

function withoutPort(peer: string): string {
  const colon = peer.lastIndexOf(':');
  return colon === -1 ? peer : peer.slice(0, colon);
}
