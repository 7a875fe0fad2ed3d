// The mesh's own answer to a request that reaches no service: a page, when its turn has come. A body is read and thrown away.
import { type Answerer } from './answerer.ts';
import { type BodySink } from './chunks.ts';
import { type Client } from './client.ts';
import { type Problem } from './page.ts';

/** For bodies that nobody wants. */
export const NOWHERE: BodySink = { pass: () => undefined, trailers: () => undefined };

export class Reply implements Answerer {
  readonly safe = false;
  readonly #client: Client;
  readonly #problem: Problem;
  readonly #accept: string | undefined;
  readonly #keepAlive: boolean;
  readonly #bodiless: boolean;

  constructor(client: Client, problem: Problem, options: { accept?: string | undefined; keepAlive: boolean; bodiless?: boolean }) {
    this.#client = client;
    this.#problem = problem;
    this.#accept = options.accept;
    this.#keepAlive = options.keepAlive;
    this.#bodiless = options.bodiless ?? false;
  }

  start(): void {
    if (this.#client.isTurnOf(this)) this.turn();
  }

  turn(): void {
    this.#client.writePage(this.#problem, this.#accept, this.#keepAlive, this.#bodiless);
    this.#client.answered(this, this.#keepAlive);
  }

  bodySink(): BodySink {
    return NOWHERE;
  }

  requestPieceEnded(): boolean {
    return true;
  }

  requestEnded(): void {
    return;
  }

  requestBad(): void {
    this.#client.destroy();
  }

  drained(): void {
    return;
  }

  clientGone(): void {
    return;
  }
}
