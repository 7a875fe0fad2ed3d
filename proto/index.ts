// The one model of every object and message; the only way in for the other folders.
export * from './gen/messages.ts';
export { comparePortKeys, keyOfRoute, portKeyOf } from './port-key.ts';
export { type Codec, type Encodable, type Method, enumName } from './codec.ts';
