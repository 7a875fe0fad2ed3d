// Aligned columns, as Docker prints them: three spaces between, a column at least ten wide, the last one unpadded.

const GAP = 3;
const MIN_COLUMN_WIDTH = 10;

/** One line per row, each ended by a newline; `rows` includes the header. */
export function renderTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.slice(0, -1).forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? MIN_COLUMN_WIDTH, displayWidth(cell) + GAP);
    });
  }
  return rows.map((row) => `${row.map((cell, column) => padCell(cell, row, column, widths)).join('')}\n`).join('');
}

function padCell(cell: string, row: readonly string[], column: number, widths: readonly number[]): string {
  return column === row.length - 1 ? cell : cell + ' '.repeat((widths[column] ?? 0) - displayWidth(cell));
}

/** Characters that a terminal shows: code points, without escape sequences for colours. */
export function displayWidth(text: string): number {
  // eslint-disable-next-line no-control-regex -- the escape character is what is looked for
  return Array.from(text.replaceAll(/\x1b\[[0-9;]*m/g, '')).length;
}
