// A task's log lines, up one stream.
import type { LogsRequest } from '../../proto/index.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { FrameWriter } from './frame-writer.ts';

/** Resolves when the log has ended, or with `follow` the task has. */
export async function streamLogs(runtime: Runtime, request: LogsRequest, writer: FrameWriter, signal: AbortSignal): Promise<void> {
  for await (const line of runtime.logs(request, signal)) {
    await writer.write({ case: 'output', value: { source: line.source, data: line.data, timeUnixMs: line.timeUnixMs } });
  }
}
