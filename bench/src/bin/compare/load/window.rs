//! The time that is measured, and what is counted in it.

use std::time::Duration;

use hdrhistogram::Histogram;

/// When the measurement begins and ends, in nanoseconds. It does so between two turns: a little late.
pub struct Span {
    planned_begin_ns: u64,
    planned_end_ns: u64,
    pub begun_ns: Option<u64>,
    pub ended_ns: Option<u64>,
}

impl Span {
    pub fn new(now_ns: u64, warm_up: Duration, window: Duration) -> Self {
        let planned_begin_ns = now_ns + warm_up.as_nanos() as u64;
        let planned_end_ns = planned_begin_ns + window.as_nanos() as u64;
        Self { planned_begin_ns, planned_end_ns, begun_ns: None, ended_ns: None }
    }

    /// Whether it is time to begin.
    pub fn begins(&self, now_ns: u64) -> bool {
        self.begun_ns.is_none() && now_ns >= self.planned_begin_ns
    }

    /// Whether it is time to end.
    pub fn ends(&self, now_ns: u64) -> bool {
        self.begun_ns.is_some() && self.ended_ns.is_none() && now_ns >= self.planned_end_ns
    }

    pub fn is_over(&self) -> bool {
        self.ended_ns.is_some()
    }

    /// Whether it has ended so long ago.
    pub fn is_past_by(&self, now_ns: u64, time: Duration) -> bool {
        self.ended_ns.is_some_and(|ended| now_ns - ended > time.as_nanos() as u64)
    }

    /// When it begins or ends.
    pub fn next_ns(&self) -> u64 {
        if self.begun_ns.is_none() { self.planned_begin_ns } else { self.planned_end_ns }
    }

    pub fn length_ns(&self) -> u64 {
        self.begun_ns.zip(self.ended_ns).map_or(0, |(begun, ended)| ended - begun)
    }

    fn contains(&self, time_ns: u64) -> bool {
        self.begun_ns.is_some_and(|begun| begun <= time_ns)
            && self.ended_ns.is_none_or(|ended| time_ns < ended)
    }
}

/// What was measured.
pub struct Window {
    /// Answers that came in the window: the throughput.
    pub answers: u64,
    /// Answers that came at all, while warming up and after the window too.
    pub all_answers: u64,
    /// How long each request took that was due in the window, in nanoseconds. Those whose answers came after it
    /// are among them: otherwise a request that takes very long would not count.
    pub latency: Histogram<u64>,
    /// Requests that were due in the window and had no answer in the end. They are in `latency` as if they had
    /// one then.
    pub unanswered: u64,
    /// How long the window was.
    pub span_ns: u64,
    /// For how much of it the load had nothing to do.
    pub idle_ns: u64,
}

impl Default for Window {
    fn default() -> Self {
        let latency = Histogram::new(3).expect("three digits are allowed");
        Self { answers: 0, all_answers: 0, latency, unanswered: 0, span_ns: 0, idle_ns: 0 }
    }
}

impl Window {
    /// Counts the answer that came at `now_ns` to what was due at `due_ns`.
    pub fn count(&mut self, span: &Span, due_ns: u64, now_ns: u64) {
        self.all_answers += 1;
        self.answers += u64::from(span.contains(now_ns));
        if span.contains(due_ns) {
            self.latency += now_ns.saturating_sub(due_ns);
        }
    }

    /// Counts a request that nobody waits for any longer.
    pub fn give_up(&mut self, span: &Span, due_ns: u64, now_ns: u64) {
        if span.contains(due_ns) {
            self.unanswered += 1;
            self.latency += now_ns.saturating_sub(due_ns);
        }
    }
}
