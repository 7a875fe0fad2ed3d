export { type ApiContext } from './context.ts';
export { createControlApi } from './control-api.ts';
export { createImageResolver, type ImageResolver, type ImageResolverOptions } from './registry/image-resolver.ts';
