#!/usr/bin/env python3
"""SciPy's three least-squares methods on NIST's regressions and teacher networks.

    python3 benchmarks/support/scipy_certified.py [--json scipy.json]

Jacobians are exact: by complex steps of 1e-30, which have no difference to round, and of the network
by hand. All tolerances are 1e-15, up to 3,000 evaluations (1,500 for the network). One process, one
thread.
"""

import argparse
import json
import os
import sys
import time

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

try:
    import numpy as np
    import scipy
    from scipy.optimize import least_squares
except ImportError:
    sys.exit("This needs NumPy and SciPy, which script/setup does not install: pip install scipy.")

METHODS = ("lm", "trf", "dogbox")
NIST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/certified/nist")
exp, pi = np.exp, np.pi


def bells(b, x):
    return (b[0] * exp(-b[1] * x) + b[2] * exp(-(((x - b[3]) / b[4]) ** 2))
            + b[5] * exp(-(((x - b[6]) / b[7]) ** 2)))


def decays(b, x):
    return sum(b[k] * exp(-b[k + 1] * x) for k in (0, 2, 4))


def cubics(b, x):
    upper = b[0] + x * (b[1] + x * (b[2] + x * b[3]))
    return upper / (1 + x * (b[4] + x * (b[5] + x * b[6])))


def waves(b, x):
    def wave(cosine, sine, period):
        angle = 2 * pi * x / period
        return cosine * np.cos(angle) + sine * np.sin(angle)

    return b[0] + wave(b[1], b[2], 12) + wave(b[4], b[5], b[3]) + wave(b[7], b[8], b[6])


def chwirut(b, x):
    return exp(-b[0] * x) / (b[1] + b[2] * x)


def saturation(b, x):
    return b[0] * (1 - exp(-b[1] * x))


MODELS = {
    "Misra1a": saturation,
    "Chwirut2": chwirut,
    "Chwirut1": chwirut,
    "Lanczos3": decays,
    "Gauss1": bells,
    "Gauss2": bells,
    "DanWood": lambda b, x: b[0] * x ** b[1],
    "Misra1b": lambda b, x: b[0] * (1 - (1 + b[1] * x / 2) ** -2),
    "Kirby2": lambda b, x: (b[0] + x * (b[1] + x * b[2])) / (1 + x * (b[3] + x * b[4])),
    "Hahn1": cubics,
    "Nelson": lambda b, x: b[0] - b[1] * x[:, 0] * exp(-b[2] * x[:, 1]),
    "MGH17": lambda b, x: b[0] + b[1] * exp(-x * b[3]) + b[2] * exp(-x * b[4]),
    "Lanczos1": decays,
    "Lanczos2": decays,
    "Gauss3": bells,
    "Misra1c": lambda b, x: b[0] * (1 - (1 + 2 * b[1] * x) ** -0.5),
    "Misra1d": lambda b, x: b[0] * b[1] * x / (1 + b[1] * x),
    "Roszman1": lambda b, x: b[0] - b[1] * x - np.arctan(b[2] / (x - b[3])) / pi,
    "ENSO": waves,
    "MGH09": lambda b, x: b[0] * (x * x + x * b[1]) / (x * x + x * b[2] + b[3]),
    "Thurber": cubics,
    "BoxBOD": saturation,
    "Rat42": lambda b, x: b[0] / (1 + exp(b[1] - b[2] * x)),
    "MGH10": lambda b, x: b[0] * exp(b[1] / (x + b[2])),
    "Eckerle4": lambda b, x: b[0] / b[1] * exp(-0.5 * ((x - b[2]) / b[1]) ** 2),
    "Rat43": lambda b, x: b[0] / (1 + exp(b[1] - b[2] * x)) ** (1 / b[3]),
    "Bennett5": lambda b, x: b[0] * (b[1] + x) ** (-1 / b[2]),
}


def numbers(line):
    try:
        return [float(word) for word in line.split()]
    except ValueError:
        return []


def read(name):
    """Starts [2, P], certified parameters [P], and r(b)."""
    with open(os.path.join(NIST, name + ".dat")) as file:
        lines = file.read().split("\n")
    values = [numbers(line.partition("=")[2]) for line in lines if line.strip()[:1] == "b"]
    values = np.array([row for row in values if len(row) == 4])
    first = max(i for i, line in enumerate(lines) if line.startswith("Data:")) + 1
    data = np.array([numbers(line) for line in lines[first:] if numbers(line)])
    y, x = data[:, 0], data[:, 1] if data.shape[1] == 2 else data[:, 1:]
    if name == "Nelson":
        y = np.log(y)
    if name == "Roszman1":  # a misprint in the file, see the README beside it
        values[0, 2] = 2.0196866396e-01
    return values[:, :2].T, values[:, 2], lambda b: MODELS[name](b, x) - y


def complex_step_jacobian(residuals):
    def jacobian(b):
        columns = []
        for j in range(len(b)):
            stepped = b.astype(complex)
            stepped[j] += 1e-30j
            columns.append(residuals(stepped).imag / 1e-30)
        return np.stack(columns, 1)

    return jacobian


def solve(residuals, jacobian, start, method, evaluations):
    """b (the start where SciPy threw), evaluations, seconds, and whether SciPy calls it success."""
    begin = time.perf_counter()
    with np.errstate(all="ignore"):
        try:
            end = least_squares(residuals, start, jac=jacobian, method=method, xtol=1e-15,
                                ftol=1e-15, gtol=1e-15, max_nfev=evaluations)
        except ValueError:  # residuals that are not finite
            return start, 0, time.perf_counter() - begin, False
    return end.x, int(end.nfev), time.perf_counter() - begin, bool(end.success)


def correct_digits(found, certified):
    error = float(np.max(np.abs((found - certified) / certified)))
    if not np.isfinite(error):
        return 0.0
    return float(np.clip(-np.log10(max(error, 1e-300)), 0, 11))


class Randoms:
    """The generator of the example in the C standard, as in tests/certified/teacher.cpp."""

    def __init__(self, seed):
        self.state = seed

    def uniform(self):
        self.state = (1103515245 * self.state + 12345) % 2**31
        return (self.state + 0.5) / 2**31

    def normal(self):
        radius = np.sqrt(-2 * np.log(self.uniform()))
        return radius * np.cos(2 * pi * self.uniform())


def network(b, x):
    w, bias, v, c = b[:24].reshape(8, 3), b[24:32], b[32:40], b[40]
    hidden = np.tanh(x @ w.T + bias)
    slopes = (1 - hidden**2) * v
    by_w = (slopes[:, :, None] * x[:, None, :]).reshape(len(x), -1)
    jacobian = np.concatenate([by_w, slopes, hidden, np.ones((len(x), 1))], 1)
    return hidden @ v + c, jacobian


def teacher(seed):
    randoms = Randoms(seed)
    x = np.array([randoms.normal() for _ in range(600)]).reshape(200, 3)
    y = network(np.array([randoms.normal() for _ in range(41)]), x)[0]
    weight = 200**-0.5
    starts = []
    for k in range(10):
        randoms = Randoms(100 + k)
        bounds = [3**-0.5] * 32 + [8**-0.5] * 9
        starts.append(np.array([bound * (2 * randoms.uniform() - 1) for bound in bounds]))
    return (starts, lambda b: weight * (network(b, x)[0] - y),
            lambda b: weight * network(b, x)[1])


def run_nist():
    rows = []
    for name in MODELS:
        starts, certified, residuals = read(name)
        jacobian = complex_step_jacobian(residuals)
        for s in range(2):
            row = {"problem": name, "start": s + 1}
            for method in METHODS:
                b, evaluations, seconds, success = solve(residuals, jacobian, starts[s], method, 3000)
                row[method] = {"digits": correct_digits(b, certified), "evaluations": evaluations,
                               "seconds": seconds, "success": success}
            rows.append(row)
    return rows


def run_teacher(seed):
    starts, residuals, jacobian = teacher(seed)
    rows = []
    for method in METHODS:
        for s, start in enumerate(starts):
            b, evaluations, seconds, success = solve(residuals, jacobian, start, method, 1500)
            rows.append({"teacher": seed, "method": method, "start": s + 1,
                         "sum": float(np.sum(residuals(b) ** 2)), "evaluations": evaluations,
                         "seconds": seconds, "success": success})
    return rows


def print_nist(rows):
    print("| problem | start |" + "".join(f" {m} | evaluations |" for m in METHODS))
    print("| --- | --- |" + " --- | --- |" * len(METHODS))
    for row in rows:
        cells = "".join(f" {row[m]['digits']:.1f} | {row[m]['evaluations']} |" for m in METHODS)
        print(f"| {row['problem']} | {row['start']} |{cells}")
    for m in METHODS:
        digits = [row[m]["digits"] for row in rows]
        false = sum(row[m]["success"] and row[m]["digits"] < 4 for row in rows)
        print(f"{m}: {sum(d >= 4 for d in digits)} of {len(rows)} at four digits, "
              f"average {np.mean(digits):.2f}, success with fewer digits {false}, "
              f"{sum(row[m]['seconds'] for row in rows):.1f} s")


def print_teachers(rows):
    print("| teacher |" + "".join(f" {m} |" for m in METHODS))
    print("| --- |" + " --- |" * len(METHODS))
    for seed in sorted({row["teacher"] for row in rows}):
        counts = [sum(row["sum"] <= 1e-20 for row in rows
                      if row["teacher"] == seed and row["method"] == m) for m in METHODS]
        print(f"| {seed} |" + "".join(f" {count} |" for count in counts))
    for m in METHODS:
        ends = [row for row in rows if row["method"] == m]
        print(f"{m}: {sum(row['sum'] <= 1e-20 for row in ends)} of {len(ends)} to 1e-20, "
              f"{sum(row['seconds'] for row in ends):.1f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", help="also write the results there")
    parser.add_argument("--teachers", type=int, default=6, help="networks of seeds 1, 2, ...")
    arguments = parser.parse_args()
    results = {"scipy": scipy.__version__, "nist": run_nist(),
               "teacher": sum((run_teacher(1 + k) for k in range(arguments.teachers)), [])}
    print(f"SciPy {results['scipy']}")
    print_nist(results["nist"])
    print_teachers(results["teacher"])
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(results, file, indent=1)
