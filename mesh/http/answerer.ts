// Who answers one request, as the client's connection sees him: an exchange with a replica, or a page of the mesh's own.
import { type BodySink } from './chunks.ts';

export interface Answerer {
  /** It changes nothing at the replica (RFC 9110, 9.2.1). */
  readonly safe: boolean;
  start(): void;
  /** Those before it are answered; its own answer may be written. */
  turn(): void;
  /** Where the request's body goes; undefined: nowhere yet, `continue` of the client follows. */
  bodySink(): BodySink | undefined;
  /** After each piece of the body, and the head. False: no more for now. */
  requestPieceEnded(): boolean;
  requestEnded(): void;
  /** Its body is none. */
  requestBad(): void;
  /** The client has taken what was written. */
  drained(): void;
  clientGone(): void;
}
