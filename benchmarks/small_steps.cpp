// What a step on a small network costs beside the autograd calls that it makes. By rows, the
// default: the coefficients of the loss, the gradient in z, and one pass to the layers' outputs. By
// products, with the exact matrix: those two, ∇h, Jᵀu as a function of u, one Jᵀ for the noise, and
// a J v and a Jᵀu for each product. One process, one thread; both are timed in turn.

#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <natgrad/natgrad.h>
#include <torch/torch.h>

#include <chrono>

#include "support/command_line.h"
#include "support/start.h"

namespace F = torch::nn::functional;
using torch::Tensor;

namespace {

struct Problem {
  std::string name;
  torch::nn::Sequential model;
  Tensor x, y;

  int64_t size() const {
    int64_t size = 0;
    for (const auto& p : model->parameters()) size += p.numel();
    return size;
  }
};

Problem linear() {
  return {"linear 2-2, batch 32", torch::nn::Sequential(torch::nn::Linear(2, 2)),
          torch::randn({32, 2}), torch::randint(2, {32}, torch::kLong)};
}

Problem digits() {
  return {"digits 64-64-10, batch 128",
          torch::nn::Sequential(torch::nn::Linear(64, 64), torch::nn::Tanh(),
                                torch::nn::Linear(64, 10)),
          torch::randn({128, 64}), torch::randint(10, {128}, torch::kLong)};
}

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

enum class Road { Rows, Products };

/// The calls of a step, on a graph and directions made beforehand.
class AutogradCalls {
 public:
  explicit AutogradCalls(Problem& problem)
      : parameters_(problem.model->parameters()),
        z_(problem.model->forward(problem.x)),
        log_p_(z_.log_softmax(1)),
        loss_(F::nll_loss(log_p_, problem.y)),
        u_(torch::randn_like(z_).requires_grad_()),
        cotangent_(torch::randn_like(z_)) {
    for (const auto& p : parameters_) v_.push_back(torch::randn_like(p));
  }

  void operator()(Road road, int64_t products) {
    using torch::autograd::grad;
    const auto c = grad({loss_}, {log_p_}, {}, true, true)[0];
    benchmark::DoNotOptimize(grad({log_p_}, {z_}, {c.detach()}, true, true));
    if (road == Road::Rows) {
      // The first layer's bias stands for its output: the way there is the same.
      benchmark::DoNotOptimize(grad({z_}, {parameters_[1]}, {cotangent_}, true));
      return;
    }
    benchmark::DoNotOptimize(grad({loss_}, parameters_, {}, true));
    const auto pulled_back = grad({z_}, parameters_, {u_}, true, true);
    std::vector<Tensor> roots, directions;
    for (size_t i = 0; i < pulled_back.size(); ++i) {
      if (!pulled_back[i].requires_grad()) continue;
      roots.push_back(pulled_back[i]);
      directions.push_back(v_[i]);
    }
    benchmark::DoNotOptimize(grad({z_}, parameters_, {cotangent_}, true));
    for (int64_t i = 0; i < products; ++i) {
      benchmark::DoNotOptimize(grad(roots, {u_}, directions, true, false, true));
      benchmark::DoNotOptimize(grad({z_}, parameters_, {cotangent_}, true));
    }
  }

 private:
  std::vector<Tensor> parameters_;
  Tensor z_, log_p_, loss_, u_, cotangent_;
  std::vector<Tensor> v_;
};

natgrad::NaturalGradientOptions options_of(Road road) {
  return road == Road::Rows
             ? natgrad::NaturalGradientOptions()
             : natgrad::NaturalGradientOptions(0.1).curvature(natgrad::FisherOrGaussNewton());
}

void step_and_calls(benchmark::State& state, Problem problem, Road road) {
  natgrad::NaturalGradient optimizer(problem.model->parameters(), options_of(road));
  double steps = 0, calls = 0, products = 0;
  for (auto _ : state) {
    const auto loss = F::cross_entropy(problem.model->forward(problem.x), problem.y);
    const double step = seconds_of([&] { optimizer.step(loss); });
    const auto count = optimizer.summary().solver.products;
    AutogradCalls autograd(problem);
    steps += step;
    calls += seconds_of([&] { autograd(road, count); });
    products += static_cast<double>(count);
    state.SetIterationTime(step);
  }
  const auto n = static_cast<double>(state.iterations());
  state.counters["step"] = 1e6 * steps / n;
  state.counters["calls"] = 1e6 * calls / n;
  state.counters["ratio"] = steps / calls;
  state.counters["products"] = products / n;
}

void run() {
  fmt::print("`ratio`: a step ÷ the autograd calls it makes, both in microseconds.\n");
  for (const auto& problem : {linear(), digits()}) {
    for (const auto road : {Road::Rows, Road::Products}) {
      const auto name = fmt::format("{}, {} parameters, by {}", problem.name, problem.size(),
                                    road == Road::Rows ? "rows" : "products");
      benchmark::RegisterBenchmark(name.c_str(), step_and_calls, problem, road)
          ->UseManualTime()
          ->Unit(benchmark::kMicrosecond);
    }
  }
  benchmarks::run_benchmarks_or_exit();
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> defaults = {"--benchmark_repetitions=9",
                                             "--benchmark_report_aggregates_only=true",
                                             "--benchmark_min_time=0.5"};
  benchmarks::start_or_exit(argc, argv, defaults);
  return examples::exit_code("small_steps", run);
}
