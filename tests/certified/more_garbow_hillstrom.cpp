// Moré, Garbow & Hillstrom, "Testing unconstrained optimization software", ACM Transactions on
// Mathematical Software 7 (1981), 17-41: the functions by their numbers there, with the minimal
// values that the paper gives, to more digits where more are known.

#include <torch/torch.h>

#include <cmath>

#include "certified/regression.h"

namespace certified {
namespace {

using Residuals = std::function<Tensor(const Tensor& x)>;

Tensor numbers(const std::vector<double>& values) { return torch::tensor(values, torch::kDouble); }

/// 1, ..., n.
Tensor one_to(int64_t n) { return torch::arange(1, n + 1, torch::kDouble); }

Regression problem(const std::string& name, const std::vector<double>& start, Residuals residuals,
                   double sum_of_squares, std::vector<double> local_sums = {}) {
  return {name, {numbers(start)}, std::move(residuals), {},
          {},   sum_of_squares,   std::move(local_sums)};
}

/// Also from ten times its start.
Regression from_afar(Regression regression) {
  regression.starts.push_back(10 * regression.starts.front());
  return regression;
}

Tensor rosenbrock(const Tensor& x) { return torch::stack({10 * (x[1] - x[0].square()), 1 - x[0]}); }

Tensor freudenstein_and_roth(const Tensor& x) {
  return torch::stack(
      {-13 + x[0] + ((5 - x[1]) * x[1] - 2) * x[1], -29 + x[0] + ((x[1] + 1) * x[1] - 14) * x[1]});
}

Tensor jennrich_and_sampson(const Tensor& x) {
  const auto i = one_to(10);
  return 2 + 2 * i - ((i * x[0]).exp() + (i * x[1]).exp());
}

Tensor helical_valley(const Tensor& x) {
  const auto turns = (x[1] / x[0]).atan() / (2 * M_PI) + torch::where(x[0] < 0, 0.5, 0.);
  const auto radius = (x[0].square() + x[1].square()).sqrt();
  return torch::stack({10 * (x[2] - 10 * turns), 10 * (radius - 1), x[2]});
}

Tensor powell_singular(const Tensor& x) {
  return torch::stack({x[0] + 10 * x[1], std::sqrt(5.) * (x[2] - x[3]), (x[1] - 2 * x[2]).square(),
                       std::sqrt(10.) * (x[0] - x[3]).square()});
}

Tensor box_3d(const Tensor& x) {
  const auto t = 0.1 * one_to(10);
  return (-t * x[0]).exp() - (-t * x[1]).exp() - x[2] * ((-t).exp() - (-10 * t).exp());
}

Tensor brown_and_dennis(const Tensor& x) {
  const auto t = one_to(20) / 5;
  return (x[0] + t * x[1] - t.exp()).square() + (x[2] + x[3] * t.sin() - t.cos()).square();
}

Regression bard() {
  const auto y = numbers(
      {0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39});
  const auto u = one_to(15), v = 16 - u, w = u.minimum(v);
  return problem("Bard (8)", {1, 1, 1},
                 [=](const Tensor& x) { return y - (x[0] + u / (v * x[1] + w * x[2])); },
                 8.214877306578e-3, {17.42869333});
}

Regression meyer() {
  const auto y = numbers({34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005,
                          5147, 4427, 3820, 3307, 2872});
  const auto t = 45 + 5 * one_to(16);
  return problem(
      "Meyer (10)", {0.02, 4000, 250},
      [=](const Tensor& x) { return x[0] * (x[1] / (t + x[2])).exp() - y; }, 87.945855171);
}

Regression kowalik_and_osborne() {
  const auto y = numbers(
      {0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246});
  const auto u = numbers({4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625});
  return problem(
      "Kowalik and Osborne (15)", {0.25, 0.39, 0.415, 0.39},
      [=](const Tensor& x) { return y - x[0] * (u * u + u * x[1]) / (u * u + u * x[2] + x[3]); },
      3.075056038e-4, {1.0273482e-3});
}

Regression osborne_1() {
  const auto y =
      numbers({0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751,
               0.718, 0.685, 0.658, 0.628, 0.603, 0.580, 0.558, 0.538, 0.522, 0.506, 0.490,
               0.478, 0.467, 0.457, 0.448, 0.438, 0.431, 0.424, 0.420, 0.414, 0.411, 0.406});
  const auto t = 10 * (one_to(33) - 1);
  return problem(
      "Osborne 1 (17)", {0.5, 1.5, -1, 0.01, 0.02},
      [=](const Tensor& x) {
        return y - (x[0] + x[1] * (-t * x[3]).exp() + x[2] * (-t * x[4]).exp());
      },
      5.464894697e-5);
}

Regression osborne_2() {
  const auto y = numbers(
      {1.366, 1.191, 1.112, 1.013, 0.991, 0.885, 0.831, 0.847, 0.786, 0.725, 0.746, 0.679, 0.608,
       0.655, 0.616, 0.606, 0.602, 0.626, 0.651, 0.724, 0.649, 0.649, 0.694, 0.644, 0.624, 0.661,
       0.612, 0.558, 0.533, 0.495, 0.500, 0.423, 0.395, 0.375, 0.372, 0.391, 0.396, 0.405, 0.428,
       0.429, 0.523, 0.562, 0.607, 0.653, 0.672, 0.708, 0.633, 0.668, 0.645, 0.632, 0.591, 0.559,
       0.597, 0.625, 0.739, 0.710, 0.729, 0.720, 0.636, 0.581, 0.428, 0.292, 0.162, 0.098, 0.054});
  const auto t = (one_to(65) - 1) / 10;
  return problem("Osborne 2 (19)", {1.3, 0.65, 0.65, 0.7, 0.6, 3, 5, 7, 2, 4.5, 5.5},
                 [=](const Tensor& x) {
                   auto model = x[0] * (-t * x[4]).exp();
                   for (int64_t k = 1; k <= 3; ++k) {
                     model = model + x[k] * (-(t - x[7 + k]).square() * x[4 + k]).exp();
                   }
                   return y - model;
                 },
                 4.01377362935e-2, {1.789813});
}

/// x' - x² - 1 = 0 on 29 points of [0, 1], by a polynomial of n coefficients.
Regression watson(int64_t n, double sum_of_squares) {
  const auto t = one_to(29).unsqueeze(1) / 29, j = torch::arange(n, torch::kDouble);
  const auto powers = t.pow(j), slopes = torch::where(j > 0, j * t.pow((j - 1).clamp_min(0)), 0);
  return problem(
      "Watson, n = " + std::to_string(n) + " (20)", std::vector<double>(n, 0.),
      [=](const Tensor& x) {
        const auto ends = torch::stack({x[0], x[1] - x[0].square() - 1});
        return torch::cat({slopes.mv(x) - powers.mv(x).square() - 1, ends});
      },
      sum_of_squares);
}

}  // namespace

std::vector<Regression> more_garbow_hillstrom() {
  return {
      from_afar(problem("Rosenbrock (1)", {-1.2, 1}, rosenbrock, 0)),
      from_afar(problem("Freudenstein and Roth (2)", {0.5, -2}, freudenstein_and_roth, 0,
                        {48.98425367924})),
      problem("Jennrich and Sampson (6)", {0.3, 0.4}, jennrich_and_sampson, 124.362182356),
      from_afar(problem("Helical valley (7)", {-1, 0, 0}, helical_valley, 0)),
      from_afar(bard()),
      meyer(),
      problem("Box, three-dimensional (12)", {0, 10, 20}, box_3d, 0),
      from_afar(problem("Powell, singular (13)", {3, -1, 0, 1}, powell_singular, 0)),
      from_afar(kowalik_and_osborne()),
      from_afar(
          problem("Brown and Dennis (16)", {25, 5, -5, -1}, brown_and_dennis, 85822.20162635)),
      osborne_1(),
      osborne_2(),
      watson(6, 2.28767005355e-3),
      watson(9, 1.399760138e-6),
      watson(12, 4.722381e-10),
  };
}

}  // namespace certified
