// Mocha's dot reporter, and the counts of the run as a line "passed failed skipped" in the file that SHOAL_TEST_COUNTS names.
const { appendFileSync } = require('node:fs');
const Mocha = require('mocha');

class CountingReporter extends Mocha.reporters.Dot {
  constructor(runner, options) {
    super(runner, options);
    runner.once('end', () => {
      const { passes = 0, failures = 0, pending = 0 } = this.stats;
      if (process.env.SHOAL_TEST_COUNTS) appendFileSync(process.env.SHOAL_TEST_COUNTS, `${passes} ${failures} ${pending}\n`);
    });
  }
}

module.exports = CountingReporter;
