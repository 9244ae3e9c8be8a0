// NIST/ITL Statistical Reference Datasets, nonlinear regression: the models are those that the
// files print, the data, starts and certified values are read from them.

#include <torch/torch.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "certified/regression.h"

namespace certified {
namespace {

using Model = std::function<Tensor(const Tensor& b, const Tensor& x)>;

struct Dataset {
  std::string name;
  Model f;
  bool is_of_logarithm = false;  ///< of y
};

Tensor one_minus_exp(const Tensor& b, const Tensor& x) { return b[0] * (1 - (-b[1] * x).exp()); }

Tensor decay_over_line(const Tensor& b, const Tensor& x) {
  return (-b[0] * x).exp() / (b[1] + b[2] * x);
}

Tensor three_decays(const Tensor& b, const Tensor& x) {
  return b[0] * (-b[1] * x).exp() + b[2] * (-b[3] * x).exp() + b[4] * (-b[5] * x).exp();
}

Tensor two_bells(const Tensor& b, const Tensor& x) {
  const auto bell = [&](int64_t k) {
    return b[k] * (-(x - b[k + 1]).square() / b[k + 2].square()).exp();
  };
  return b[0] * (-b[1] * x).exp() + bell(2) + bell(5);
}

Tensor cubic_over_cubic(const Tensor& b, const Tensor& x) {
  const auto x2 = x * x, x3 = x2 * x;
  return (b[0] + b[1] * x + b[2] * x2 + b[3] * x3) / (1 + b[4] * x + b[5] * x2 + b[6] * x3);
}

Tensor oscillations(const Tensor& b, const Tensor& x) {
  const auto waves = [&](const Tensor& cosine, const Tensor& sine, const Tensor& period) {
    const auto angle = 2 * M_PI * x / period;
    return cosine * angle.cos() + sine * angle.sin();
  };
  return b[0] + waves(b[1], b[2], torch::tensor(12., torch::kDouble)) + waves(b[4], b[5], b[3]) +
         waves(b[7], b[8], b[6]);
}

std::vector<Dataset> datasets() {
  return {
      {"Misra1a", one_minus_exp},
      {"Chwirut2", decay_over_line},
      {"Chwirut1", decay_over_line},
      {"Lanczos3", three_decays},
      {"Gauss1", two_bells},
      {"Gauss2", two_bells},
      {"DanWood", [](const Tensor& b, const Tensor& x) { return b[0] * x.pow(b[1]); }},
      {"Misra1b",
       [](const Tensor& b, const Tensor& x) { return b[0] * (1 - (1 + b[1] * x / 2).pow(-2)); }},
      {"Kirby2",
       [](const Tensor& b, const Tensor& x) {
         return (b[0] + b[1] * x + b[2] * x * x) / (1 + b[3] * x + b[4] * x * x);
       }},
      {"Hahn1", cubic_over_cubic},
      {"Nelson",
       [](const Tensor& b, const Tensor& x) {
         return b[0] - b[1] * x.select(1, 0) * (-b[2] * x.select(1, 1)).exp();
       },
       true},
      {"MGH17",
       [](const Tensor& b, const Tensor& x) {
         return b[0] + b[1] * (-x * b[3]).exp() + b[2] * (-x * b[4]).exp();
       }},
      {"Lanczos1", three_decays},
      {"Lanczos2", three_decays},
      {"Gauss3", two_bells},
      {"Misra1c",
       [](const Tensor& b, const Tensor& x) { return b[0] * (1 - (1 + 2 * b[1] * x).pow(-0.5)); }},
      {"Misra1d",
       [](const Tensor& b, const Tensor& x) { return b[0] * b[1] * x / (1 + b[1] * x); }},
      {"Roszman1",
       [](const Tensor& b, const Tensor& x) {
         return b[0] - b[1] * x - (b[2] / (x - b[3])).atan() / M_PI;
       }},
      {"ENSO", oscillations},
      {"MGH09",
       [](const Tensor& b, const Tensor& x) {
         return b[0] * (x * x + x * b[1]) / (x * x + x * b[2] + b[3]);
       }},
      {"Thurber", cubic_over_cubic},
      {"BoxBOD", one_minus_exp},
      {"Rat42",
       [](const Tensor& b, const Tensor& x) { return b[0] / (1 + (b[1] - b[2] * x).exp()); }},
      {"MGH10", [](const Tensor& b, const Tensor& x) { return b[0] * (b[1] / (x + b[2])).exp(); }},
      {"Eckerle4",
       [](const Tensor& b, const Tensor& x) {
         return b[0] / b[1] * (-0.5 * ((x - b[2]) / b[1]).square()).exp();
       }},
      {"Rat43", [](const Tensor& b,
                   const Tensor& x) { return b[0] / (1 + (b[1] - b[2] * x).exp()).pow(1 / b[3]); }},
      {"Bennett5",
       [](const Tensor& b, const Tensor& x) { return b[0] * (b[1] + x).pow(-1 / b[2]); }},
  };
}

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  TORCH_CHECK(file, "cannot read ", path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

std::vector<double> numbers_in(const std::string& text) {
  std::istringstream stream(text);
  std::vector<double> numbers;
  for (double number; stream >> number;) numbers.push_back(number);
  return numbers;
}

/// Columns [count, numbers in a row].
Tensor table_of(const std::vector<std::vector<double>>& rows) {
  std::vector<Tensor> tensors;
  for (const auto& row : rows) tensors.push_back(torch::tensor(row, torch::kDouble));
  return torch::stack(tensors);
}

/// "  b3 =  start 1  start 2  certified value  standard deviation", [P, 4].
Tensor values_in(const std::vector<std::string>& lines) {
  std::vector<std::vector<double>> rows;
  for (const auto& line : lines) {
    const auto equals = line.find('=');
    const bool is_value = line.find_first_not_of(' ') == line.find('b') && equals < 12;
    if (!is_value) continue;
    const auto numbers = numbers_in(line.substr(equals + 1));
    if (numbers.size() == 4) rows.push_back(numbers);
  }
  return table_of(rows);
}

double sum_of_squares_in(const std::vector<std::string>& lines) {
  for (const auto& line : lines) {
    if (line.starts_with("Residual Sum of Squares:")) {
      return numbers_in(line.substr(line.find(':') + 1)).front();
    }
  }
  TORCH_CHECK(false, "the file names no residual sum of squares");
}

/// What follows the last line "Data:".
Tensor data_in(const std::vector<std::string>& lines) {
  size_t begin = 0;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].starts_with("Data:")) begin = i + 1;
  }
  std::vector<std::vector<double>> rows;
  for (size_t i = begin; i < lines.size(); ++i) {
    const auto numbers = numbers_in(lines[i]);
    if (!numbers.empty()) rows.push_back(numbers);
  }
  return table_of(rows);
}

Regression regression_of(const Dataset& dataset) {
  const auto lines = lines_of(NATGRAD_NIST_DIR "/" + dataset.name + ".dat");
  const auto values = values_in(lines), data = data_in(lines);
  auto y = data.select(1, 0);
  if (dataset.is_of_logarithm) y = y.log();
  const auto x = data.size(1) == 2 ? data.select(1, 1) : data.narrow(1, 1, data.size(1) - 1);
  const auto f = dataset.f;
  // A misprint in the file, see nist/README.md.
  if (dataset.name == "Roszman1") values[0][2] = 2.0196866396e-01;
  return {dataset.name,
          {values.select(1, 0), values.select(1, 1)},
          [f, x, y](const Tensor& b) { return f(b, x) - y; },
          values.select(1, 2),
          values.select(1, 3),
          sum_of_squares_in(lines)};
}

}  // namespace

std::vector<Regression> nist_regressions() {
  std::vector<Regression> regressions;
  for (const auto& dataset : datasets()) regressions.push_back(regression_of(dataset));
  return regressions;
}

}  // namespace certified
