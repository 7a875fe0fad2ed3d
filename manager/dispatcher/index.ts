export { createDispatcher, type Dispatcher, type DispatcherOptions } from './dispatcher.ts';
export { DEFAULT_SETTINGS, type DispatcherSettings } from './settings.ts';
export type { TaskStream, TaskStreams } from './task-streams.ts';
export { templateProblem } from './template.ts';
