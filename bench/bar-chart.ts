import { BarChart } from 'echarts/charts';
import { GridComponent, TitleComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { LegacyGridContainLabel } from 'echarts/features';
import { SVGRenderer } from 'echarts/renderers';
import type { CaseResult } from './results.ts';

use([BarChart, GridComponent, LegacyGridContainLabel, TitleComponent, SVGRenderer]);

const WIDTH = 720;
// Dark enough on white, and light enough on black.
const TEXT = '#808790';
const LINE = '#80879055';
const OURS = '#2f81f7';
const OTHERS = '#9aa4b0';

/** One bar a contender, the first at the top. */
export function barChart({ title, measurements }: CaseResult): string {
  const rows = measurements.toReversed();
  const chart = init(null, null, {
    renderer: 'svg',
    ssr: true,
    width: WIDTH,
    height: 90 + 34 * rows.length,
  });
  try {
    chart.setOption({
      animation: false,
      textStyle: { fontFamily: 'sans-serif' },
      title: { text: title, left: 'center', textStyle: { color: TEXT, fontSize: 15 } },
      grid: { left: 12, right: 70, top: 36, bottom: 34, containLabel: true },
      xAxis: {
        type: 'value',
        name: rows[0]?.unit ?? '',
        nameLocation: 'middle',
        nameGap: 24,
        nameTextStyle: { color: TEXT },
        axisLabel: { color: TEXT },
        splitLine: { lineStyle: { color: LINE } },
      },
      yAxis: {
        type: 'category',
        data: rows.map(({ contender }) => contender),
        axisLabel: { color: TEXT },
        axisLine: { lineStyle: { color: LINE } },
        axisTick: { show: false },
      },
      series: [
        {
          type: 'bar',
          barWidth: 20,
          data: rows.map(({ contender, value }) => ({
            value: Number(value.toPrecision(3)),
            itemStyle: {
              color: /Bursar|upsert_ai|user|policies|rows/.test(contender) ? OURS : OTHERS,
            },
          })),
          label: { show: true, position: 'right', color: TEXT },
        },
      ],
    });
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}
