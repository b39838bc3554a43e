"""From our panels to Grafana's, in one language."""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping
from typing import Any, Final, assert_never

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import stat, table, timeseries
from grafana_foundation_sdk.models import common, dashboard

from grafana.generator.panels import Column, Lines, Named, Panel, Stat, Steps, Table
from grafana.generator.queries import source, target
from grafana.generator.texts import Language, Text, said

_RUNBOOK: Final = Text("处置手册", "Runbook")
_NOTHING: Final = Text("无", "none")
_LONG_TEXT: Final = 400  # pixels: two dozen Chinese characters a line; on a narrow screen the table scrolls sideways


def draw(panel: Panel, language: Language, number: int, place: dashboard.GridPos) -> dashboard.Panel:
    """The panel with this number at this place."""
    if isinstance(panel, Stat):
        built = _stat(panel, language)
    elif isinstance(panel, Lines):
        built = _lines(panel, language)
    elif isinstance(panel, Table):
        built = _table(panel, language)
    else:
        assert_never(panel)  # type: ignore[arg-type]
    built.id_val = number
    built.grid_pos = place
    built.title = said(panel.title, language)
    built.description = said(panel.description, language)
    built.datasource = source(panel.queries[0])
    built.targets = [
        target(query, ref_id, language, table=isinstance(panel, Table)).build()
        for query, ref_id in zip(panel.queries, string.ascii_uppercase, strict=False)
    ]
    if panel.runbook:
        built.links = [_link(said(_RUNBOOK, language), f"${{runbooks}}/{panel.runbook}.md")]
    return built


def _stat(panel: Stat, language: Language) -> dashboard.Panel:
    built = (
        stat.Panel()
        .unit(said(panel.unit, language))
        .thresholds(_thresholds(panel.thresholds))
        .color_scheme(builders.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS))
        .color_mode(common.BigValueColorMode.VALUE)
        .graph_mode(common.BigValueGraphMode.NONE)
        .text_mode(common.BigValueTextMode.VALUE)
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False))
        .no_value(said(_NOTHING, language))
    )
    if panel.decimals is not None:
        built.decimals(panel.decimals)
    if panel.values:
        built.mappings(list(_mappings(panel.values, language)))
    return built.build()


def _lines(panel: Lines, language: Language) -> dashboard.Panel:
    dashed = common.GraphThresholdsStyleMode.DASHED if panel.thresholds else common.GraphThresholdsStyleMode.OFF
    stacking = common.StackingMode.NORMAL if panel.stacked else common.StackingMode.NONE
    bars = panel.style == "bars"
    built = (
        timeseries.Panel()
        .unit(said(panel.unit, language))
        .thresholds(_thresholds(panel.thresholds))
        .thresholds_style(common_builders.GraphThresholdsStyleConfig().mode(dashed))
        .color_scheme(builders.FieldColor().mode(dashboard.FieldColorModeId.PALETTE_CLASSIC))
        .draw_style(common.GraphDrawStyle.BARS if bars else common.GraphDrawStyle.LINE)
        .line_width(0 if bars else 2)
        .fill_opacity(80 if bars else 40 if panel.stacked else 0)
        .line_interpolation(
            common.LineInterpolation.STEP_AFTER if panel.style == "steps" else common.LineInterpolation.LINEAR
        )
        .show_points(common.VisibilityMode.NEVER if bars else common.VisibilityMode.AUTO)
        .stacking(common_builders.StackingConfig().mode(stacking).group("A"))
        .legend(
            common_builders.VizLegendOptions()
            .show_legend(True)
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
            .calcs([])
        )
        .tooltip(
            common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
        )
    )
    if panel.least is not None:
        built.min(panel.least)
    if panel.unit == "none":
        built.axis_soft_max(1)  # where all is zero the axis would end at 100
    if panel.nothing:
        built.no_value(said(panel.nothing, language))
    if panel.most is not None:
        built.max(panel.most)
    if panel.decimals is not None:
        built.decimals(panel.decimals)
    if panel.interval:
        built.interval(panel.interval)
    if panel.shortened:
        options = {"regex": panel.shortened, "renamePattern": "$1"}
        built.with_transformation(dashboard.DataTransformerConfig(id_val="renameByRegex", options=options))
    for name, named in panel.names.items():
        built.override_by_name(name, list(_named(named, language)))
    if panel.background:
        built.override_by_name(panel.background, [_value(name, value) for name, value in _BACKGROUND.items()])
    return built.build()


_BACKGROUND: Final[Mapping[str, Any]] = {
    "unit": "none",
    "min": 0,
    "max": 1,
    "color": {"mode": "fixed", "fixedColor": "blue"},
    "custom.axisPlacement": "hidden",
    "custom.drawStyle": "line",
    "custom.lineInterpolation": "stepAfter",
    "custom.lineWidth": 0,
    "custom.fillOpacity": 12,
    "custom.showPoints": "never",
    "custom.stacking": {"mode": "none", "group": "background"},
}


def _table(panel: Table, language: Language) -> dashboard.Panel:
    built = (
        table.Panel()
        .unit(said(panel.unit, language))
        .thresholds(_thresholds(panel.thresholds))
        .show_header(True)
        .cell_height(common.TableCellHeight.SM)
        .no_value(said(_NOTHING, language))
    )
    if panel.joined_by:
        built.with_transformation(
            dashboard.DataTransformerConfig(id_val="joinByField", options={"byField": panel.joined_by, "mode": "outer"})
        )
    built.with_transformation(
        dashboard.DataTransformerConfig(
            id_val="filterFieldsByName", options={"include": {"names": list(panel.columns)}}
        )
    ).with_transformation(
        dashboard.DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": {},
                "indexByName": {name: index for index, name in enumerate(panel.columns)},
                "renameByName": {},
            },
        )
    )
    for name, column in panel.columns.items():
        built.override_by_name(name, list(_column(column, language)))
    if panel.sorted_by:
        shown = said(panel.columns[panel.sorted_by].title, language)
        built.sort_by([common_builders.TableSortByFieldState().display_name(shown).desc(True)])
    return built.build()


def _column(column: Column, language: Language) -> Iterator[dashboard.DynamicConfigValue]:
    yield _value("displayName", said(column.title, language))
    if column.width is not None:
        yield _value("custom.width", column.width)
    if column.unit:
        yield _value("unit", column.unit)
    if column.decimals is not None:
        yield _value("decimals", column.decimals)
    if column.values:
        yield _value("mappings", list(_mappings(column.values, language)))
        yield _value("custom.cellOptions", {"type": "color-text"})
    if column.thresholds:
        yield _value("thresholds", _thresholds(column.thresholds).build())
        yield _value("custom.cellOptions", {"type": "color-text"})
    if column.long:
        yield _value("custom.minWidth", _LONG_TEXT)
        yield _value("custom.cellOptions", {"type": "auto", "wrapText": True})
        yield _value("custom.inspect", True)
    if column.bar:
        yield _value("min", 0)
        yield _value("fieldMinMax", True)
        yield _value("custom.cellOptions", {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"})
    if column.link:
        yield _value("links", [{"title": said(column.title, language), "url": column.link, "targetBlank": True}])


def _named(named: Named, language: Language) -> Iterator[dashboard.DynamicConfigValue]:
    yield _value("displayName", said(named.title, language))
    if named.color:
        yield _value("color", {"mode": "fixed", "fixedColor": named.color})


def _mappings(values: Mapping[str, Named], language: Language) -> Iterator[dashboard.ValueMapping]:
    yield dashboard.ValueMap(
        options={
            value: dashboard.ValueMappingResult(text=said(named.title, language), color=named.color, index=index)
            for index, (value, named) in enumerate(values.items())
        }
    )


def _thresholds(steps: Steps) -> builders.ThresholdsConfig:
    rest = [dashboard.Threshold(value=value, color=color) for value, color in steps]
    return (
        builders.ThresholdsConfig()
        .mode(dashboard.ThresholdsMode.ABSOLUTE)
        .steps([dashboard.Threshold(value=None, color="green"), *rest])
    )


def _value(name: str, value: Any) -> dashboard.DynamicConfigValue:
    return dashboard.DynamicConfigValue(id_val=name, value=value)


def _link(title: str, url: str) -> dashboard.DashboardLink:
    return builders.DashboardLink(title).type(dashboard.DashboardLinkType.LINK).url(url).target_blank(True).build()
