// What an exact solve of the damped system by the dual costs beside ten iterations of conjugate
// gradients on the same graph, and which of the two the optimizer's default takes. One process, one
// thread, CPU time; both are timed in turn on fresh graphs of one batch, each with its Jᵀu as a
// function of u made beforehand.

#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <natgrad/curvatures.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/natgrad.h>
#include <natgrad/operators.h>
#include <natgrad/solvers/dual_or_conjugate_gradient.h>
#include <torch/torch.h>
#include "graph/linearization.h"
#include "graph/loss_graph_state.h"

#include <ctime>

#include "support/command_line.h"
#include "support/start.h"

namespace F = torch::nn::functional;
using torch::Tensor;

namespace {

constexpr double kLambda = 1e-2;

/// A perceptron of tanh units on random data, of a classifier or of a regression.
struct Problem {
  std::vector<int64_t> widths;
  bool classifies;
  int64_t batch;

  std::string name() const {
    return fmt::format("{} {}, batch {}", fmt::join(widths, "-"),
                       classifies ? "softmax" : "regression", batch);
  }
};

struct Batch {
  torch::nn::Sequential model;
  Tensor x, y;
  bool classifies;

  natgrad::LossGraph graph() {
    const auto z = model->forward(x);
    return {classifies ? F::cross_entropy(z, y) : F::mse_loss(z, y), model->parameters()};
  }
};

Batch batch_of(const Problem& problem) {
  torch::nn::Sequential model;
  for (size_t i = 0; i + 1 < problem.widths.size(); ++i) {
    if (i > 0) model->push_back(torch::nn::Tanh());
    model->push_back(torch::nn::Linear(problem.widths[i], problem.widths[i + 1]));
  }
  const auto outputs = problem.widths.back();
  return {model, torch::randn({problem.batch, problem.widths.front()}),
          problem.classifies ? torch::randint(outputs, {problem.batch}, torch::kLong)
                             : torch::randn({problem.batch, outputs}),
          problem.classifies};
}

/// CPU seconds of a solve on a graph of its own; the relative residual goes to `residual`.
double seconds_of(Batch& batch, const natgrad::Solver& solver, double* residual) {
  const auto graph = batch.graph();
  natgrad::linearization_of(graph);
  const auto A = natgrad::fisher(graph) + kLambda;
  const auto b = -graph.gradient();
  const auto start = std::clock();
  const auto solution = solver.solve({A, b});
  const auto ticks = std::clock() - start;
  *residual = solution.summary.residual / solution.summary.right_hand_side;
  return static_cast<double>(ticks) / CLOCKS_PER_SEC;
}

void dual_and_iterations(benchmark::State& state, Problem problem) {
  auto batch = batch_of(problem);
  const natgrad::Dual dual;
  const natgrad::DualOrConjugateGradient automatic;
  double exact = 0, iterated = 0, residual = 0, residual_of_iterations = 0;
  for (auto _ : state) {
    const double seconds = seconds_of(batch, dual, &residual);
    exact += seconds;
    iterated += seconds_of(batch, automatic.iterative(), &residual_of_iterations);
    state.SetIterationTime(seconds);
  }
  const auto n = static_cast<double>(state.iterations());
  const auto C = natgrad::fisher(batch.graph());
  state.counters["rows"] = static_cast<double>(C.root_form()->root->rows);
  state.counters["dual"] = 1e6 * exact / n;
  state.counters["ten_iterations"] = 1e6 * iterated / n;
  state.counters["ratio"] = exact / iterated;
  state.counters["residual"] = residual;
  state.counters["residual_cg"] = residual_of_iterations;
  state.counters["takes_dual"] = automatic.takes_dual(C + kLambda);
}

void run() {
  fmt::print(
      "`ratio`: the dual's CPU time ÷ that of ten iterations, in microseconds both; relative\n"
      "residuals of both; and whether the default solver takes the dual.\n");
  std::vector<Problem> problems;
  for (const int64_t batch : {8, 16, 32, 64}) problems.push_back({{64, 64, 10}, true, batch});
  for (const int64_t batch : {16, 64, 256}) problems.push_back({{8, 64, 64, 1}, false, batch});
  for (const int64_t batch : {8, 32}) problems.push_back({{784, 256, 10}, true, batch});
  for (const auto& problem : problems) {
    benchmark::RegisterBenchmark(problem.name().c_str(), dual_and_iterations, problem)
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond);
  }
  benchmarks::run_benchmarks_or_exit();
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> defaults = {"--benchmark_repetitions=9",
                                             "--benchmark_report_aggregates_only=true",
                                             "--benchmark_min_time=0.1"};
  benchmarks::start_or_exit(argc, argv, defaults);
  return examples::exit_code("dual_solve", run);
}
