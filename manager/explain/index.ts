export { explainService } from './explain-service.ts';
