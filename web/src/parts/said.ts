/**
 * The server's own sentences, which are English, as texts of the catalogues: why an operation waits or has ended, what
 * happened to the server, what was tried and what came of it. A sentence is clauses with "; " between them; a clause
 * that is not known stays as it was said.
 */

export interface Clause {
  /** as the server said it */
  text: string;
  /** of `said.…`; null: not known */
  key: string | null;
  named: Record<string, string>;
}

/** What eomd tries against an incident, by its word. */
export const REMEDIES: Record<string, string> = {
  recycle: "clusters.remedy.recycle",
  reload: "clusters.remedy.reload",
  restart: "clusters.remedy.restart",
  start: "clusters.remedy.start",
  "last good configuration": "clusters.remedy.lastGood",
};

/** What an incident is about, by its word. Nodes and folders are called by their own names. */
export const SUBJECTS: Record<string, string> = {
  server: "clusters.healthOf.server",
  ledger: "clusters.healthOf.ledger",
  inbox: "clusters.healthOf.inbox",
  disk: "clusters.healthOf.disk",
  watchdog: "clusters.healthOf.watchdog",
  clock: "clusters.healthOf.clock",
  configuration: "clusters.subject.configuration",
  "files in the inbox": "clusters.subject.files",
  "files taken from the inbox": "clusters.subject.taken",
  "events of the inbox": "clusters.subject.events",
};

const PATTERNS: readonly (readonly [RegExp, string])[] = [
  // why an operation waits
  [/^paused by a person$/, "byPerson"],
  [/^cluster (?<cluster>\S+) is drained$/, "clusterDrained"],
  [/^goes on when it is taken back$/, "onWhenBack"],
  [/^cluster (?<cluster>\S+) is not configured$/, "clusterAbsent"],
  [/^goes on when it is$/, "onWhenConfigured"],
  [/^no node of cluster (?<cluster>\S+) can be reached$/, "clusterAway"],
  [/^goes on by itself$/, "onByItself"],
  [/^less than limits\.min_free_mb = (?<least>\d+) MB free$/, "diskShort"],
  [/^the disk is full$/, "diskFull"],
  [/^(?<bad>[\d,]+) of the last (?<rows>[\d,]+) rows failed or are uncertain, over (?<share>\S+)$/, "brakeRows"],
  [/^answers take (?<ms>[\d,]+) ms, over (?<most>[\d,]+) ms$/, "brakeSlow"],
  [/^the canary's (?<rows>[\d,]+) rows: (?<bad>[\d,]+) failed or uncertain$/, "canary"],
  [/^the canary could not be read back: (?<detail>.+)$/, "canaryUnread"],
  [/^resume it to go on, or cancel it$/, "canaryDecide"],
  [/^older than 30 days: clusters may have forgotten its tokens$/, "tooOld"],
  [/^resume it by hand$/, "resumeByHand"],
  // what reading back has come to
  [/^(?<rows>[\d,]+) rows were read back: all are as they were left$/, "readSame"],
  [/^(?<rows>[\d,]+) rows were read back: (?<differ>[\d,]+) are different now$/, "readDiffer"],
  [/^(?<rows>[\d,]+) could not be read$/, "unread"],
  [/^could not be read back: (?<detail>.+)$/, "notRead"],
  // how an operation has ended, who decided about it
  [/^cancelled before a row was answered$/, "cancelledEarly"],
  [/^cancelled before anybody approved it$/, "cancelledWaiting"],
  [/^the database went away while this was handed in$/, "handInLost"],
  [/^the caller was told to try again$/, "toldToTryAgain"],
  [/^its folder is gone from the data folder$/, "folderGone"],
  [/^approved by (?<who>.+?): (?<detail>.+)$/, "approvedBy"],
  [/^rejected by (?<who>.+?): (?<detail>.+)$/, "rejectedBy"],
  [/^rejected: nobody has decided in time$/, "expired"],
  // what came of a remedy, or of an order
  [/^serving after (?<s>[\d.]+) s$/, "serving"],
  [/^serving again after (?<s>[\d.]+) s$/, "servingAgain"],
  [/^the connections of cluster (?<cluster>\S+) are being replaced$/, "recycled"],
  [/^the server has read its configuration again$/, "reread"],
  [/^left alone: a person stopped the server$/, "leftAlone"],
  [/^stopped$/, "stopped"],
  [/^the watchdog ends$/, "watchdogEnds"],
  [/^came to no end within (?<s>[\d.]+) s$/, "noEnd"],
  [/^failed: (?<detail>.+)$/, "failed"],
  [/^broke down, see the log$/, "brokeDown"],
  [/^nobody here can do it$/, "nobodyCan"],
  [/^stays in use$/, "staysInUse"],
  [/^used for the start$/, "usedForStart"],
  [/^tried again every (?<s>[\d.]+) s$/, "triedAgain"],
  // why the server was started, stopped, killed
  [/^no server runs$/, "noServer"],
  [/^ordered to end$/, "orderedEnd"],
  [/^ordered to stop$/, "orderedStop"],
  [/^ordered by (?<who>.+)$/, "orderedBy"],
  [/^killed: it did not come to rest in time$/, "noRest"],
  [/^the configuration is good again$/, "configurationGood"],
  [/^uses (?<used>\d+) MB, over watchdog\.rss_limit_mb = (?<most>\d+)$/, "memory"],
  [/^holds (?<held>\d+) of at most (?<most>\d+) open files$/, "descriptors"],
  [/^ended with exit code (?<code>\d+) after (?<s>\d+) s(?<where>| in .+)$/, "endedExit"],
  [/^ended with signal (?<signal>\w+) after (?<s>\d+) s(?<where>| in .+)$/, "endedSignal"],
  [/^ended with (?<how>.+) after (?<s>\d+) s(?<where>| in .+)$/, "ended"],
  [/^(?<count>\d+) times in a row(?<where>| in .+)$/, "inARow"],
  [/^stacks in (?<file>.+)$/, "stacks"],
  [/^no sign of life for (?<s>[\d.]+) s, stopped by a signal: killed(?<where>| in .+)$/, "silentStopped"],
  [/^no sign of life for (?<s>[\d.]+) s(?<why>| \(.+\)): killed(?<where>| in .+)$/, "silent"],
  [/^its files have changed: nothing taken over$/, "filesChangedNothing"],
  [/^its files have changed: (?<keys>.+) taken over$/, "filesChanged"],
  [/^(?<who>[^:]+): nothing taken over$/, "reloadedNothing"],
  [/^(?<who>[^:]+): (?<keys>.+) taken over$/, "reloaded"],
  [/^waiting for a restart: (?<keys>.+)$/, "waitsForRestart"],
  [/^the server does not accept it$/, "notAccepted"],
  [/^its log says why$/, "seeLog"],
  // what an incident is about, and how it ended
  [/^the node is (?<state>\w+): (?<detail>.+)$/, "nodeIs"],
  [/^the node answers$/, "nodeAnswers"],
  [/^for the probe the node is (?<probe>\w+), for the pool failing(?<detail>|: .+)$/, "nodeFails"],
  [/^for the probe the node is (?<probe>\w+), for the pool (?<state>\w+)(?<detail>|: .+)$/, "nodeDisagrees"],
  [/^the ledger is read-only: (?<detail>.+)$/, "ledgerReadOnly"],
  [/^the ledger is (?<state>\w+): (?<detail>.+)$/, "ledgerIs"],
  [/^the ledger answers$/, "ledgerAnswers"],
  [/^for the probe the ledger is up, for the server down(?<detail>|: .+)$/, "ledgerDisagrees"],
  [/^they agree again$/, "agree"],
  [/^hand-ins are refused: (?<detail>.+)$/, "diskLow"],
  [/^operations pause: (?<detail>.+)$/, "diskPause"],
  [/^there is space again$/, "space"],
  [/^the server answers$/, "serverAnswers"],
  [/^the server does not answer: (?<detail>.+)$/, "serverMute"],
  [/^not ready (?<s>\d+) s after its start$/, "unready"],
  [/^could not be started: (?<detail>.+)$/, "notStarted"],
  [/^the machine gives it no time: (?<detail>.+)$/, "starved"],
  [/^well for (?<s>\d+) s since$/, "wellSince"],
  [/^the watchdog was kept from running for (?<s>[\d.]+) s$/, "watchdogLate"],
  [/^the clock was set forward by (?<s>[\d.]+) s$/, "clockForward"],
  [/^the clock was set back by (?<s>[\d.]+) s$/, "clockBack"],
  [/^more files came at once than the kernel keeps events of$/, "overflow"],
  [/^the folder was looked through$/, "lookedThrough"],
  [/^nothing is lost$/, "nothingLost"],
  [/^it is not watched any more$/, "unwatched"],
  [/^it is watched$/, "watched"],
  [/^(?<path>.+) was gone and has been made again: deleted, moved, or another one mounted over it$/, "madeAgain"],
  [/^(?<path>.+) is not the folder it was: deleted, moved, or another one mounted over it$/, "replaced"],
  [/^(?<detail>.+): the inbox is looked at every few seconds instead$/, "polled"],
  [/^(?<count>\d+) are not in \.taken, which is another folder now: (?<names>.+) …$/, "takenAway"],
];

/** ended with …, 3 times in a row; what else a server's end is told with */
const BETWEEN = /; |, (?=\d+ times in a row)/;

export function clausesOf(sentence: string): Clause[] {
  return sentence.split(BETWEEN).map((text) => {
    for (const [pattern, key] of PATTERNS) {
      const match = pattern.exec(text);
      if (match !== null) return { text, key, named: { ...match.groups } };
    }
    return { text, key: null, named: {} };
  });
}
