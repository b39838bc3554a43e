"""What a treasury spends money on: subjects, words for the purpose, kinds of payee and amounts."""

from __future__ import annotations

from typing import NamedTuple

from treasury_watch.adapters.simulation.chance import Chance
from treasury_watch.adapters.simulation.city import GARAGES, VENUES, Level, Party

# What amounts are scaled by, so that ordinary ones stay below the large-payment levels of each kind of unit.
SCALE: dict[Level, float] = {"city": 1.0, "county": 0.4, "town": 0.18}


class Item(NamedTuple):
    """One thing that is paid for. Amounts are in whole yuan for a city unit; most lie near `low`.

    `subject` is the departmental economic class (部门经济分类), `government_subject` the governmental one. Words may
    hold {m}, the month. `supplier` is the one payee of what only one sells, `designated` those who may sell what has
    designated vendors (定点); otherwise `trades` are those of the companies that sell it.
    """

    weight: int
    subject: str
    government_subject: str
    words: tuple[str, ...]
    trades: tuple[str, ...]
    low: int
    high: int
    supplier: str = ""
    designated: tuple[Party, ...] = ()

    def amount(self, chance: Chance, level: Level) -> int:
        """An amount in fen; every third one is in round yuan, as invoices are."""
        draw = chance.random()
        fen = int((self.low + (self.high - self.low) * draw * draw * draw) * SCALE[level] * 100) + 100
        return fen - fen % 100 if chance.random() < 0.35 else fen


# fmt: off
GOODS = (
    Item(14, "30201", "50201", ("购买{m}月办公用品", "购置打印机耗材", "购买复印纸及文具", "购买档案盒和装订用品"),
         ("办公用品", "文化用品"), 120, 18_000),
    Item(6, "30202", "50201", ("印刷宣传资料", "文件汇编印刷费", "{m}月报表印制费"),
         ("印务", "图文制作"), 300, 25_000),
    Item(5, "30205", "50201", ("{m}月水费",), (), 150, 9_000, "云川市自来水公司"),
    Item(6, "30206", "50201", ("{m}月电费",), (), 400, 40_000, "云川市供电公司"),
    Item(5, "30207", "50201", ("{m}月电话费", "{m}月网络专线费", "邮寄费"), (), 100, 8_000, "云川市通信公司"),
    Item(6, "30209", "50201", ("{m}月物业管理费", "{m}月保洁服务费", "{m}月安保服务费"),
         ("物业服务", "保安服务"), 2_000, 80_000),
    Item(8, "30213", "50209", ("办公楼零星维修", "空调维修保养", "电梯{m}月维保费", "屋面防水维修"),
         ("建筑装饰工程", "机电设备"), 500, 120_000),
    Item(4, "30214", "50201", ("{m}月办公用房租金", "会议设备租赁费"), ("置业", "设备租赁"), 1_000, 90_000),
    Item(4, "30215", "50202", ("业务工作会议会务费", "专题座谈会场地费"), (), 1_500, 40_000, designated=VENUES),
    Item(5, "30216", "50203", ("干部业务培训费", "专业技术人员继续教育培训费"),
         ("教育咨询", "培训服务"), 800, 50_000),
    Item(8, "30218", "50204", ("购买检测试剂", "购买教学实验材料", "购买防护物资", "购买医用耗材"),
         ("科学仪器", "医疗器械", "教学设备"), 600, 200_000),
    Item(8, "30227", "50205", ("信息系统运维服务费", "第三方检测服务费", "规划编制服务费", "审计服务费"),
         ("信息技术", "检测技术", "规划设计", "会计事务"), 3_000, 400_000),
    Item(4, "30231", "50208", ("公务用车{m}月燃油费", "公务用车保险费"), ("石油销售", "财产保险"), 200, 9_000),
    Item(2, "30231", "50208", ("公务用车维修费", "公务用车保养费"), (), 200, 9_000, designated=GARAGES),
    Item(3, "31002", "50306", ("购置台式计算机", "购置复印机", "购置办公家具"), ("电子科技", "家具"), 3_000, 180_000),
    Item(2, "31003", "50306", ("购置专用检测设备", "购置教学仪器设备"), ("科学仪器", "教学设备"), 20_000, 420_000),
    Item(2, "31005", "50302", ("道路维修工程进度款", "水渠整治工程进度款", "校舍改造工程进度款"),
         ("建筑工程", "市政工程", "水利工程"), 40_000, 440_000),
    Item(2, "31007", "50306", ("软件平台升级费", "网络安全设备购置"), ("信息技术", "网络科技"), 10_000, 350_000),
    Item(3, "30299", "50299", ("工会活动场地费", "离退休人员体检费", "职工体检费"),
         ("健康管理", "体育文化"), 500, 60_000),
)
CARD_ITEMS = (
    Item(8, "30211", "50201", ("赴省城开会差旅费", "下乡调研差旅费", "跨市办案差旅费", "外出学习差旅费"),
         (), 80, 3_000),
    Item(3, "30201", "50201", ("零星办公用品", "购买U盘等办公耗材"), (), 40, 900),
    Item(2, "30207", "50201", ("邮政快递费",), (), 15, 200),
    Item(2, "30216", "50203", ("业务培训报名费",), (), 200, 2_400),
    Item(2, "30217", "50206", ("上级检查组公务接待餐费",), (), 150, 1_500),
    Item(2, "30231", "50208", ("公务用车过路费", "公务用车洗车费"), (), 20, 500),
)
LABOUR = Item(1, "30226", "50205",
    ("评审专家劳务费", "授课教师讲课费", "临时聘用人员{m}月劳务费", "翻译劳务费"), (), 300, 4_500)
SUPPORT = Item(1, "30305", "50901",
    ("{m}月困难群众生活补助", "{m}月优抚对象抚恤补助", "{m}月高龄津贴"), (), 100, 1_200)
SALARY = Item(1, "30101", "50101", ("{y}年{m}月工资",), (), 3_600, 14_000)
TO_A_UNIT = Item(1, "30299", "50299", ("分摊{m}月水电费", "支付检验检测费", "上缴培训费"), (), 500, 25_000)
PETTY_CASH = Item(1, "30299", "50299", ("提取备用金", "慰问困难职工", "支付零星搬运费"), (), 100, 3_000)
# fmt: on


# Trades by number: a company keeps its account whatever is bought from it.
TRADES = {trade: number for number, trade in enumerate(dict.fromkeys(each for item in GOODS for each in item.trades))}


def by_weight(items: tuple[Item, ...]) -> list[Item]:
    """Each item as often as it weighs: a pick from the list is a draw by weight."""
    return [item for item in items for _ in range(item.weight)]
