import assert from 'node:assert/strict';
import { ShoalError } from '../../lib/errors.ts';

/** Why a call is refused; it must not succeed. */
export async function failure(call: Promise<unknown>): Promise<ShoalError> {
  return call.then(
    () => assert.fail('the call succeeded'),
    (error: unknown) => ShoalError.from(error),
  );
}
