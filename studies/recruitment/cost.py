"""What a study will cost in money and time, from what a session takes and what an hour is worth."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a study is expected to cost.

    Attributes:
        people: Who are paid: those who count, and those who finish and are left out.
        minutes: That a session takes.
        reward: Of one person, rounded up to the cent.
        pay: Of all of them.
        fee: Of the panel.
    """

    people: int
    minutes: int
    reward: Decimal
    pay: Decimal
    fee: Decimal

    @property
    def total(self) -> Decimal:
        """Pay and fee."""
        return self.pay + self.fee

    @property
    def hours(self) -> float:
        """Hours of work of all people together."""
        return self.people * self.minutes / 60


def cost_expected(*, people: int, minutes: int, pay_per_hour: Decimal, fee_percent: Decimal) -> Cost:
    """Return what a study will cost.

    Args:
        people: Who finish, those that are left out among them: they are paid as well.
        minutes: That a session takes.
        pay_per_hour: Of one person.
        fee_percent: What the panel adds to the pay.

    Example:
        >>> cost = cost_expected(people=170, minutes=5, pay_per_hour=Decimal(10), fee_percent=Decimal("33.3"))
        >>> cost.reward, cost.pay, cost.fee, cost.total
        (Decimal('0.84'), Decimal('142.80'), Decimal('47.55'), Decimal('190.35'))
    """
    reward = (pay_per_hour * minutes / 60).quantize(CENT, ROUND_CEILING)
    pay = reward * people
    fee = (pay * fee_percent / 100).quantize(CENT, ROUND_HALF_UP)
    return Cost(people=people, minutes=minutes, reward=reward, pay=pay, fee=fee)
