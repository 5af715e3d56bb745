/** The server's reasons, which are English, as texts of the catalogues. What is not known stays as it was said. */

export interface KnownReason {
  /** of `reasons.…` */
  key: string;
  named: Record<string, string>;
}

const PATTERNS: readonly (readonly [RegExp, string])[] = [
  // cells
  [/^empty$/, "empty"],
  [/^an exponent: /, "exponent"],
  [/^more than (?<digits>\d+) digits$/, "digits"],
  [/^a plus sign is not accepted$/, "plus"],
  [/^thousands separators are not accepted$/, "thousands"],
  [/^a decimal, not a whole number$/, "decimal"],
  [/^not a number$/, "notANumber"],
  [/^a user is a number from 1 on$/, "user"],
  [/^a negative amount is not possible with (?:inc|dec)$/, "negative"],
  [/^must not be negative for inc and dec$/, "negative"],
  [/^over (?<most>-?\d+)$/, "over"],
  [/^below (?<least>-?\d+)$/, "below"],
  [/^this user stands in an earlier line too$/, "doubledUser"],
  // lines and files
  [/^(?<found>\d+) columns, (?:the header|the first line) has (?<wanted>\d+)$/, "columns"],
  [/^(?<found>\d+) columns, more than (?<most>\d+)$/, "tooManyColumns"],
  [/^a NUL byte: /, "nul"],
  [/^text after a closing quote$/, "afterQuote"],
  [/^a quote is opened here and not closed/, "unclosed"],
  [/^the file is empty$/, "emptyFile"],
  [/^no rows$/, "noRows"],
  [/^the file is an Excel workbook \(\.(?<kind>xlsx?)\), not a CSV: /, "workbook"],
  [/^the file is a zip archive, perhaps an Excel workbook/, "zip"],
  [/^the file is (?:an? )?(?<kind>.+), not a CSV: /, "noCsv"],
  [/^the byte at offset (?<offset>\d+)(?: \(0x(?:[0-9A-F]+)\))? is /, "byte"],
  // headers
  [/^a modify file with more than two columns needs a header$/, "needsHeader"],
  [/^a second column of amounts$/, "secondAmounts"],
  [/^a second column of this EID$/, "secondEid"],
  [/^amounts per EID beside the column (?<column>.+)$/, "besideColumn"],
  [/^not one of the operation's EIDs (?<eids>[\d, ]+); no column of (?<missing>[\d, ]+)$/, "strangeEidMissing"],
  [/^not one of the operation's EIDs (?<eids>[\d, ]+)$/, "strangeEid"],
  [/^no column of the EID (?<eid>\d+)$/, "noColumn"],
  [/^amounts in the file and an amount in the configuration: /, "amountTwice"],
  [/^no amount, neither in the file nor in the configuration$/, "noAmount"],
  // fields
  [/^is missing(?:: who asks must be known)?$/, "missing"],
  [/^must not be empty$/, "mustNotBeEmpty"],
  [/^expected a whole number$/, "wholeNumber"],
  [/^must be greater than or equal to (?<least>-?\d+)$/, "below"],
  [/^must be less than or equal to (?<most>-?\d+)$/, "over"],
  [/^String should have at most (?<most>\d+) characters?$/, "tooLong"],
  [/^stands there twice: (?<eid>\d+)$/, "eidTwice"],
  [/^not defined for cluster (?<cluster>\S+): (?<eids>[\d, ]+) \(/, "notDefined"],
  [/^there is no cluster /, "noCluster"],
  [/^there is no canary: /, "noCanary"],
  [/^(?<users>\d+) users stand in the file more than once, (?<user>\d+) among them$/, "usersTwice"],
  [/^cluster \S+ cannot compare values/, "cannotCompare"],
  // why a second person is needed
  [/^(?<value>[\d,]+) rows are over approval\.rows = (?<limit>[\d,]+)$/, "approvalRows"],
  [/^(?<value>[\d,]+) in all is over approval\.total_amount = (?<limit>[\d,]+)$/, "approvalTotal"],
  [/^an amount of (?<value>[\d,]+) is over approval\.largest_amount = (?<limit>[\d,]+)$/, "approvalAmount"],
  [/^cluster (?<cluster>\S+) is among approval\.clusters$/, "approvalCluster"],
  [/^EID (?<eids>[\d, ]+): among approval\.eids$/, "approvalEids"],
  [/^(?<time>\d\d:\d\d) is within approval\.hours$/, "approvalHours"],
];

export function knownReason(reason: string): KnownReason | null {
  for (const [pattern, key] of PATTERNS) {
    const match = pattern.exec(reason);
    if (match !== null) return { key, named: { ...match.groups } };
  }
  return null;
}
