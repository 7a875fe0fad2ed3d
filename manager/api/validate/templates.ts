// Placeholders in fields that take them: well formed, and only known ones. Read by the same code that fills them in for a node.
import { templateProblem } from '../../dispatcher/template.ts';
import type { Report } from './report.ts';

/** Reports a text whose placeholders could not be filled in. */
export type TemplateCheck = (path: string, text: string) => void;

/** `labels` are the service's, which placeholders may name. */
export function templateCheck(labels: Readonly<Record<string, string>>, report: Report): TemplateCheck {
  return (path, text) => {
    const problem = templateProblem(text, labels);
    if (problem !== undefined) report(path, problem);
  };
}
