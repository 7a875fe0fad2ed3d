// What a failed write means for the one who asked for it.
import { errnoOf, messageOf, ShoalError } from '../../../lib/errors.ts';

const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** `undone`: nothing of the write is left on the disk. */
export function diskError(error: unknown, directory: string, undone: boolean): ShoalError {
  const full = FULL.has(errnoOf(error) ?? '');
  const why = full ? `the disk that holds ${directory} is full` : `writing to ${directory} failed (${messageOf(error)})`;
  if (!undone) {
    return new ShoalError(
      'outcome_unknown',
      `${why}, and the write could not be taken back; it may show after a restart. Free space or replace the disk`,
      {
        cause: error,
      },
    );
  }
  if (full) {
    return new ShoalError('resource_exhausted', `${why}: nothing was written. Free some space there; writes then go on by themselves`, {
      cause: error,
    });
  }
  return new ShoalError('unavailable', `${why}: nothing was written. Check the disk`, { cause: error });
}
