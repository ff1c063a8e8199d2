"""What a run tells in the end."""

from collections import Counter
from dataclasses import dataclass, field

from chaos.clients import Heard
from chaos.reckoning import Reckoning


@dataclass
class Report:
    """What happened, and what came of it."""

    title: str
    heard: Heard = field(default_factory=Heard)
    seconds: float = 0.0
    troubles: Counter[str] = field(default_factory=Counter)
    recoveries: list[float] = field(default_factory=list)
    reckoning: Reckoning = field(default_factory=lambda: Reckoning(0, 0, [], [], [], []))

    @property
    def findings(self) -> list[str]:
        """Everything that is not as promised."""
        found = self.reckoning
        return [*found.lost, *found.duplicated, *found.stray, *found.untold, *self.heard.wrong]

    @property
    def longest_recovery(self) -> float:
        """Seconds from the end of a trouble until every server wrote again."""
        return max(self.recoveries, default=0.0)

    def __str__(self) -> str:
        found = self.reckoning
        usual = sorted(self.recoveries)[len(self.recoveries) // 2] if self.recoveries else 0.0
        counts = {"lost": found.lost, "duplicated": found.duplicated, "never written": found.stray}
        counts |= {"unlike the audit log": found.untold, "wrong answers": self.heard.wrong}
        lines = [
            f"{self.title}, {self.seconds:.0f} s:",
            f"{found.acknowledged} writes acknowledged, {found.stored} servers stored in the end",
            f"answers: {_counted(self.heard.statuses)}; slowest 503 after {self.heard.slowest_503:.2f} s",
            f"troubles: {_counted(self.troubles)}",
            f"all servers wrote again within {self.longest_recovery:.2f} s, usually {usual:.2f} s",
            ", ".join(f"{name} {len(what)}" for name, what in counts.items()),
        ]
        return "\n  ".join([*lines, *(f"FOUND {finding}" for finding in self.findings[:20])])


def _counted(things: Counter[str]) -> str:
    return ", ".join(f"{times} x {name}" for name, times in sorted(things.items()))
