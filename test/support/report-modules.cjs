// Preloaded into a process (node --require): at its end, writes the CommonJS modules that it loaded to the file $REPORT_MODULES.
const { writeFileSync } = require('node:fs');

process.on('exit', () => {
  writeFileSync(process.env.REPORT_MODULES, JSON.stringify(Object.keys(require.cache)));
});
