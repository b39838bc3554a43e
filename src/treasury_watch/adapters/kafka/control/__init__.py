"""Control inputs (控制输入): rule sets, reference data and dispositions that change verdicts, and when they applied."""
