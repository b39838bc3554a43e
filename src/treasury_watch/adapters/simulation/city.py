"""云川市, a city that does not exist: its jurisdictions, budget units, official cards and debarred payees.

The city is the same in every run, so the shipped `rules/tables/official_cards.csv` and `rules/lists/debarred_*.yaml`
name its cards and debarred payees; a larger city only has more units.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from treasury_watch.adapters.simulation.names import account_number, check_digit, mixed, numbered, person_name

Level = Literal["city", "county", "town"]


class Jurisdiction(NamedTuple):
    code: str  # begins with 99, which no province has (GB/T 2260)
    name: str
    level: Level


class Department(NamedTuple):
    """A line of government: its number, name, functional class of its spending and the institutions under it."""

    code: str
    name: str
    function_class: str
    institutions: tuple[str, ...]


class Unit(NamedTuple):
    """A budget unit. `payer` holds the fields that all of its instructions share."""

    number: int
    level: Level
    payer: dict[str, str]
    department: Department
    initiators: tuple[str, str]
    approver: str
    cashier: str
    staff: int  # people on its payroll


class Card(NamedTuple):
    """An official card (公务卡) and the unit that repays it; `limit` is its credit limit in whole yuan."""

    number: str
    holder: str
    unit: int  # its number in the city
    budget_unit: str
    limit: int


class Party(NamedTuple):
    name: str
    account: str


CITY = Jurisdiction("990100", "云川市", "city")
DISTRICTS = (
    Jurisdiction("990102", "临江区", "county"),
    Jurisdiction("990103", "东岭区", "county"),
    Jurisdiction("990104", "西湾区", "county"),
    Jurisdiction("990105", "南溪区", "county"),
)
COUNTIES = (  # these have towns
    Jurisdiction("990121", "安河县", "county"),
    Jurisdiction("990122", "青石县", "county"),
    Jurisdiction("990123", "云岭县", "county"),
    Jurisdiction("990181", "白塔市", "county"),
)
JURISDICTIONS = (CITY, *DISTRICTS, *COUNTIES)
_TURNS = (CITY, *DISTRICTS, CITY, *COUNTIES)  # one unit each in turn

DEPARTMENTS = (
    Department("101", "教育局", "2050202", ("实验小学", "{n}小学", "{n}中学", "{n}幼儿园", "职业技术学校")),
    Department(
        "102", "卫生健康委员会", "2100201", ("{n}人民医院", "疾病预防控制中心", "妇幼保健院", "{n}社区卫生服务中心")
    ),
    Department("103", "公安局", "2040220", ("交通警察支队", "{n}派出所", "看守所")),
    Department("104", "财政局", "2010601", ("国库集中支付中心", "财政信息中心", "投资评审中心")),
    Department("105", "水务局", "2130306", ("{n}水库管理处", "河道管理站", "水质检测中心")),
    Department("106", "农业农村局", "2130104", ("农业技术推广站", "动物疫病预防控制中心", "{n}农机站")),
    Department("107", "民政局", "2080208", ("社会福利院", "救助管理站", "{n}敬老院")),
    Department("108", "人力资源和社会保障局", "2080109", ("就业服务中心", "社会保险中心", "劳动监察大队")),
    Department("109", "交通运输局", "2140106", ("公路养护中心", "运输事业发展中心", "{n}养护站")),
    Department("110", "住房和城乡建设局", "2120104", ("质量安全监督站", "房屋征收中心", "城建档案馆")),
    Department("111", "文化和旅游局", "2070104", ("图书馆", "博物馆", "文化馆", "{n}文化站")),
    Department("112", "生态环境局", "2110301", ("环境监测站", "综合行政执法支队")),
    Department("113", "市场监督管理局", "2013815", ("检验检测院", "{n}市场监督管理所")),
    Department("114", "自然资源和规划局", "2200106", ("不动产登记中心", "测绘院", "{n}自然资源所")),
    Department("115", "应急管理局", "2240106", ("消防救援大队", "应急指挥中心")),
    Department("116", "司法局", "2040604", ("公证处", "法律援助中心", "{n}司法所")),
    Department("117", "科学技术局", "2060404", ("科技创新服务中心", "科技馆")),
    Department("118", "审计局", "2010804", ("审计信息中心",)),
    Department("119", "统计局", "2010508", ("普查中心",)),
    Department("120", "退役军人事务局", "2082850", ("军队离退休干部休养所", "烈士陵园管理处")),
)
_TOWN = Department("301", "镇人民政府", "2010301", ())
_TOWNS = ("柳林", "石桥", "龙泉", "白鹿", "沙河", "枫树", "清水", "双塘")

CARDS_PER_UNIT = 3
CARD_UNITS = 50  # the first units of the city have official cards
LIMITS = (20_000, 30_000, 50_000)

# Yearly budgets of some units by subject, in whole yuan: journeys abroad, receptions, union, welfare, vehicles.
BUDGETED_UNITS = (9, 19, 29)  # 教育局, 卫生健康委员会 and 公安局 of 白塔市
RECEPTIONS, UNION_FEE, WELFARE = "30217", "30228", "30229"

# Allotments: one for each unit by its number modulo this, so that large cities share them; and a small one for each
# jurisdiction, numbered from SMALL_ALLOTMENTS on.
SHARED_ALLOTMENTS = 400
ALLOTMENT, SMALL_ALLOTMENT = 1_000_000_000, 200_000  # whole yuan
SMALL_ALLOTMENTS = 901

# Whom meetings and the repair of official vehicles are bought from (定点): the shipped lists name them, and the shipped
# register says that this jurisdiction keeps such lists.
KEEPS_VENDOR_LISTS = COUNTIES[-1]
VENUES = (
    Party("云川会议中心有限公司", "9933000000000000101"),
    Party("云川江畔大酒店有限公司", "9933000000000000102"),
    Party("云川宾馆有限公司", "9933000000000000103"),
)
GARAGES = (
    Party("云川第一汽车维修有限公司", "9933000000000000111"),
    Party("云川恒达汽车服务有限公司", "9933000000000000112"),
    Party("云川顺安汽车维修有限公司", "9933000000000000113"),
)
MEETING_STANDARD = 550  # yuan for a person and day of a meeting of the third class (三类)

DEBARRED = (
    Party("云川鼎诚商贸有限公司", "9977000000000000000"),
    Party("临江百汇建设工程有限公司", "9977000000000000018"),
    Party("安河聚源咨询服务有限公司", "9977000000000000026"),
    Party("白塔顺达物资有限公司", "9977000000000000034"),
)


def unit_budgets(year: int) -> dict[str, int]:
    """Budget of each budgeted unit for a fiscal year, by subject, in whole yuan."""
    receptions = 20_000 if year == 2025 else 18_000
    return {"30212": 0, RECEPTIONS: receptions, UNION_FEE: 50_000, WELFARE: 30_000, "30231": 1_000_000}


def allotment_of(unit: int, year: int) -> str:
    """The number of the document that a unit draws on."""
    return f"云财指〔{year}〕{unit % SHARED_ALLOTMENTS + 1}号"


def small_allotment_of(place: int, year: int) -> str:
    """The number of the small allotment of the jurisdiction at that place of JURISDICTIONS."""
    return f"云财指〔{year}〕{SMALL_ALLOTMENTS + place}号"


def unit_of(number: int) -> Unit:
    """The budget unit of that number, from 0, of the city."""
    round_, turn = divmod(number, len(_TURNS))
    where = _TURNS[turn]
    seat = 2 * round_ + (turn > 0) if where is CITY else round_  # its place among the units of its jurisdiction
    level: Level
    if where in COUNTIES and seat % 4 == 3:
        level, department = "town", _TOWN
        index, town = divmod(seat // 4, len(_TOWNS))
        office = f"{where.name}{_TOWNS[town]}{_TOWN.name}"
        name = office if not index else f"{where.name}{_TOWNS[town]}镇{numbered(index)}社区"
        code = f"{301 + town}{index + 1:03d}"
    else:
        index, place = divmod(seat - seat // 4 if where in COUNTIES else seat, len(DEPARTMENTS))
        level, department = where.level, DEPARTMENTS[place]
        office = where.name + department.name
        name = office if not index else where.name + _institution(department, index - 1)
        code = f"{department.code}{index + 1:03d}"
    initiators, approver, cashier = _officers(number)
    payer = {
        "jurisdiction": where.code,
        "budget_unit": code,
        "budget_unit_name": name,
        "unit_level": level,
        "department": office,
        "payer_account": account_number("9911", number),
        "payer_account_name": name,
        "payer_account_kind": "zero_balance",
        "payer_bank": "云川银行股份有限公司" + ("市府支行" if where is CITY else f"{where.name}支行"),
        "function_class": department.function_class,
    }
    return Unit(number, level, payer, department, initiators, approver, cashier, 12 + mixed(number) % 50)


def seat_in_the_city(seat: int) -> Unit:
    """The unit at that place, from 0, of 云川市 itself: its bureaus first, then an institution of each, and so on."""
    round_, second = divmod(seat, 2)
    return unit_of(round_ * len(_TURNS) + (len(_TURNS) // 2 if second else 0))


def _institution(department: Department, index: int) -> str:
    """The institutions of a department in turn; from the second round on those without a number get one."""
    round_, which = divmod(index, len(department.institutions))
    name = department.institutions[which]
    if "{n}" in name:
        return name.format(n=numbered(round_ + 1))
    return name if not round_ else f"{name}{numbered(round_)}分部"


def _officers(number: int) -> tuple[tuple[str, str], str, str]:
    """Four people of different names: two who initiate, one who approves, a cashier."""
    people: list[str] = []
    draw = number * 1_000 + 900
    while len(people) < 4:
        name = person_name(draw)
        if name not in people:
            people.append(name)
        draw += 1
    return (people[0], people[1]), people[2], people[3]


def person(unit: int, place: int) -> Party:
    """One of the people whom a unit pays: its staff first, then those it pays for labour or supports."""
    number = unit * 1_000 + place
    return Party(person_name(number), account_number("9955", number))


def official_cards() -> list[Card]:
    """Every official card of the city."""
    cards = []
    for number in range(CARD_UNITS * CARDS_PER_UNIT):
        unit, place = divmod(number, CARDS_PER_UNIT)
        body = f"62899{number:010d}"
        owner = unit_of(unit)
        holder = person(unit, place).name
        limit = LIMITS[(unit + place) % len(LIMITS)]
        cards.append(Card(body + check_digit(body), holder, unit, owner.payer["budget_unit"], limit))
    return cards
