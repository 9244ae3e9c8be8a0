#include "fisher_ggn/trajectories.h"

#include <fmt/format.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/curvature/metric.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/log_std_gaussian.h>
#include <natgrad/likelihoods/natural_gaussian.h>
#include <natgrad/natgrad.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

namespace examples {

using torch::Tensor;

namespace {

// Conjugate gradients magnify rounding, and each step starts from where the last one led. So what
// two runs of equal matrices may be apart is measured: by Fisher() against itself, from starts that
// differ in their last digits. Some such runs differ among each other by up to two decades.
constexpr int kRounded = 3;
constexpr double kTimesRounding = 1e3;

/// What is learnt: h at given weights, which start at the same numbers in each run.
struct Task {
  std::string name, outputs;
  bool natural;
  std::vector<Tensor> start;
  std::function<Tensor(const std::vector<Tensor>& weights)> loss;
};

struct Step {
  double loss;       ///< after it
  int64_t products;  ///< of conjugate gradients
  bool is_negative;  ///< they met a direction of negative curvature
  Tensor theta;      ///< after it
};

std::vector<Tensor> random_network(int64_t inputs, int64_t hidden, int64_t outputs) {
  const auto weight = [](int64_t rows, int64_t columns) {
    return torch::randn({rows, columns}, torch::kDouble) / std::sqrt(columns);
  };
  return {weight(hidden, inputs), torch::zeros({hidden}, torch::kDouble), weight(outputs, hidden),
          torch::zeros({outputs}, torch::kDouble)};
}

Tensor network(const std::vector<Tensor>& w, const Tensor& x) {
  return torch::linear(torch::tanh(torch::linear(x, w[0], w[1])), w[2], w[3]);
}

Task softmax_task(const Dataset& digits) {
  constexpr int64_t kDigits = 200, kHidden = 12, kClasses = 10;
  const auto x = digits.train.data.narrow(0, 0, kDigits).to(torch::kDouble).flatten(1);
  const auto y = digits.train.target.narrow(0, 0, kDigits);
  return {"200 handwritten digits, 64-12-10", "softmax", true,
          random_network(x.size(1), kHidden, kClasses),
          [=](const auto& w) { return torch::nn::functional::cross_entropy(network(w, x), y); }};
}

/// y = sin 3x with noise that grows with x, as two tasks: the same network tells the natural
/// parameters of a Gaussian, or its mean and log σ.
std::vector<Task> gaussian_tasks() {
  constexpr int64_t kPoints = 100, kHidden = 10;
  const auto x = torch::linspace(-2, 2, kPoints, torch::kDouble).unsqueeze(1);
  const auto y = torch::sin(3 * x) + (0.05 + 0.1 * (x + 2)) * torch::randn_like(x);
  const auto start = random_network(1, kHidden, 2);
  const auto natural = [=](const auto& w) {
    const auto half = network(w, x).chunk(2, 1);
    const auto z = torch::cat({half[0], torch::log_sigmoid(half[1]) - 0.1}, 1);
    return natgrad::nll(natgrad::NaturalGaussian(z), y);
  };
  const auto log_std = [=](const auto& w) {
    return natgrad::nll(natgrad::LogStdGaussian(network(w, x)), y);
  };
  const std::string name = "100 points of a noisy wave, 1-10-2";
  return {{name, "Gaussian, μ/σ² and -1/(2σ²)", true, start, natural},
          {name, "Gaussian, mean and log σ", false, start, log_std}};
}

Tensor flat(const std::vector<Tensor>& weights) {
  std::vector<Tensor> parts;
  for (const auto& w : weights) parts.push_back(w.detach().flatten());
  return torch::cat(parts);
}

std::vector<Step> train(const Task& task, const natgrad::Curvature& curvature, int64_t steps) {
  std::vector<Tensor> weights;
  for (const auto& w : task.start) weights.push_back(w.clone().requires_grad_());
  natgrad::NaturalGradient optimizer(weights,
                                     natgrad::presets::hessian_free().curvature(curvature));
  std::vector<Step> course;
  for (int64_t k = 0; k < steps; ++k) {
    optimizer.step([&] { return task.loss(weights); });
    const auto& solver = optimizer.summary().solver;
    course.push_back({task.loss(weights).item<double>(), solver.iterations,
                      solver.termination == natgrad::Termination::NegativeCurvature,
                      flat(weights)});
  }
  return course;
}

/// ‖θ_a - θ_b‖/‖θ_a - θ₀‖ after each step.
std::vector<double> apart(const Task& task, const std::vector<Step>& a,
                          const std::vector<Step>& b) {
  const auto start = flat(task.start);
  std::vector<double> distances;
  for (size_t k = 0; k < a.size(); ++k) {
    const auto distance = (a[k].theta - b[k].theta).norm() / (a[k].theta - start).norm();
    distances.push_back(distance.item<double>());
  }
  return distances;
}

/// The same task from weights that are off by one unit in their last digit.
Task off_by_rounding(Task task) {
  constexpr double kUnit = std::numeric_limits<double>::epsilon();
  for (auto& w : task.start) w = w * (1 + kUnit * torch::randn_like(w).sign());
  return task;
}

/// What one task's runs were like.
struct Courses {
  std::vector<Step> fisher, gauss_newton;
  std::vector<double> apart;     ///< Fisher() and GaussNewton()
  std::vector<double> rounding;  ///< the largest so far of Fisher() and Fisher() off by rounding
};

std::unique_ptr<natgrad::Curvature> gauss_newton_times(double factor) {
  if (factor == 1) return std::make_unique<natgrad::GaussNewton>();
  return std::make_unique<natgrad::Metric>("scaled GGN", [=](const natgrad::LossGraph& graph) {
    return factor * natgrad::gauss_newton(graph);
  });
}

/// The largest number up to each place.
std::vector<double> running_maximum(std::vector<double> numbers) {
  for (size_t k = 1; k < numbers.size(); ++k) numbers[k] = std::max(numbers[k], numbers[k - 1]);
  return numbers;
}

Courses run(const Task& task, int64_t steps, double tamper) {
  Courses courses;
  courses.fisher = train(task, natgrad::Fisher(), steps);
  courses.gauss_newton = train(task, *gauss_newton_times(tamper), steps);
  courses.apart = apart(task, courses.fisher, courses.gauss_newton);
  courses.rounding.assign(courses.apart.size(), std::numeric_limits<double>::epsilon());
  for (int i = 0; i < kRounded; ++i) {
    const auto rounded = train(off_by_rounding(task), natgrad::Fisher(), steps);
    const auto distances = running_maximum(apart(task, courses.fisher, rounded));
    for (size_t k = 0; k < distances.size(); ++k) {
      courses.rounding[k] = std::max(courses.rounding[k], distances[k]);
    }
  }
  return courses;
}

void print_table(const Task& task, const Courses& courses) {
  fmt::print("\n{}: {}\n{:>5}{:>14}{:>14}{:>15}{:>19}{:>10}{:>10}\n", task.outputs, task.name,
             "step", "loss, Fisher", "loss, GGN", "θ: F from GGN", "F rounded, from F", "CG, F",
             "CG, GGN");
  const auto products = [](const Step& step) {
    return fmt::format("{}{}", step.products, step.is_negative ? " -" : "  ");
  };
  for (size_t k = 0; k < courses.fisher.size(); ++k) {
    const auto &f = courses.fisher[k], &g = courses.gauss_newton[k];
    fmt::print("{:>5}{:>14.8f}{:>14.8f}{:>15.1e}{:>19.1e}{:>10}{:>10}\n", k + 1, f.loss, g.loss,
               courses.apart[k], courses.rounding[k], products(f), products(g));
  }
}

Json to_json(const Task& task, const Courses& courses) {
  Json json = {{"outputs", task.outputs},
               {"task", task.name},
               {"natural", task.natural},
               {"apart", courses.apart},
               {"rounding", courses.rounding}};
  for (const auto& step : courses.fisher) json["fisher"].push_back(step.loss);
  for (const auto& step : courses.gauss_newton) json["gauss_newton"].push_back(step.loss);
  return json;
}

/// Natural parameters: no step is further apart than rounding explains. Others: each step is.
void judge(const Task& task, const Courses& courses, Findings& findings) {
  const std::string left = "θ under Fisher()", right = "θ under GaussNewton()";
  const auto& apart = courses.apart;
  if (!task.natural) {
    findings.must_differ("trajectory", task.outputs, left, right, std::ranges::min(apart));
    return;
  }
  size_t worst = 0;
  for (size_t k = 0; k < apart.size(); ++k) {
    const bool is_worse = apart[k] / courses.rounding[k] > apart[worst] / courses.rounding[worst];
    if (is_worse || std::isnan(apart[k])) worst = k;
  }
  findings.must_be_equal("trajectory", task.outputs, left, right, apart[worst],
                         kTimesRounding * courses.rounding[worst]);
}

Json compare(const Task& task, int64_t steps, double tamper, Findings& findings) {
  const auto courses = run(task, steps, tamper);
  print_table(task, courses);
  judge(task, courses, findings);
  return to_json(task, courses);
}

/// The table tells of negative curvature: not on standard error too.
struct Unsaid final : c10::WarningHandler {
  void process(const c10::Warning&) override {}
};

}  // namespace

Json compare_trajectories(const Setting& setting, int64_t steps, const Dataset& digits,
                          Findings& findings) {
  torch::manual_seed(setting.seed);
  fmt::print(
      "\nHessian-free optimization from one start under Fisher() and under GaussNewton(), whole "
      "batches, double:\nthe loss after each step; ‖θ_F - θ_G‖/‖θ_F - θ₀‖, and beside it what "
      "rounding makes of one Fisher() run,\nfrom starts that differ in the last digit (the largest "
      "so far of {}); products of the solve, - where it met\nnegative curvature.\n",
      kRounded);
  Unsaid unsaid;
  const c10::WarningUtils::WarningHandlerGuard guard(&unsaid);
  std::vector<Task> tasks{softmax_task(digits)};
  for (const auto& task : gaussian_tasks()) tasks.push_back(task);
  auto json = Json::array();
  for (const auto& task : tasks) json.push_back(compare(task, steps, setting.tamper, findings));
  return json;
}

}  // namespace examples
