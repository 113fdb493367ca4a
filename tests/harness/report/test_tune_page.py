import re
from pathlib import Path

from harness.planning.planner import Prediction
from harness.report.tune_page import write_page
from harness.tuning.forecast import Forecast, Pilot
from harness.tuning.successive_halving import Candidate, CandidateResult, Tuning


def test_the_page_shows_every_candidate_in_each_chart_and_marks_the_chosen_one(tmp_path: Path) -> None:
    results, predicted = [], {}
    for steps in (2, 4, 8):
        candidate = Candidate(steps)
        pilots = tuple(Pilot(ipc, (0.1 + steps / 100 + ipc / 1000,)) for ipc in (5, 10))
        forecast = Forecast(80 / steps, 0.2 + steps / 100, (0.15, 0.3), 1 / 3)
        results.append(CandidateResult(candidate, pilots, forecast, 1 + (steps > 2), 12.0))
        predicted[candidate.name] = Prediction(steps, 16, 800 // steps, 700 // steps, 900 // steps, 10)
    chosen = results[1].candidate
    path = write_page(tmp_path, "Tuned", Tuning(tuple(results), (chosen,), chosen, 36.0), predicted, 60)
    page = path.read_text(encoding="utf-8")
    assert page.count('<svg class="wide"') == page.count('<svg class="narrow"') == 3
    for told in ("4 steps: 24.00% (15.00 to 30.00)", "8 steps, IPC 10: 19.00%", "2 steps: 40 (35 to 45)"):
        assert page.count(f"<title>{told}</title>") == 2, told
    assert page.count("4 steps (chosen)") == 1
    assert min(float(size) for size in re.findall(r"font-size: ([0-9.]+)px", page.partition("<main>")[2])) >= 12
