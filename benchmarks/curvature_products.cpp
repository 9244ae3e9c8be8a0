// What a product with the Gauss-Newton or Fisher matrix costs, in forward-and-backward passes of
// the same batch: one process, one thread, medians of interleaved repeats.
//
// With P weights, P₁ of them in the first layer, and N examples, the matrix products of one
// Gauss-Newton product are 2N(4P - 2P₁) flops and those of a forward and backward pass 2N(3P - P₁):
// no exact method can be below the ratio of the two, the floor.

#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <natgrad/curvatures.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/natgrad.h>
#include <natgrad/operators.h>
#include <torch/torch.h>

#include "support/command_line.h"
#include "support/medians.h"
#include "support/results.h"
#include "support/start.h"

namespace F = torch::nn::functional;

namespace {

/// A network in layers of these widths, its batch and its loss.
struct Problem {
  std::string name;
  torch::nn::Sequential model;
  torch::Tensor x, y;
  torch::Tensor (*loss)(const torch::Tensor& z, const torch::Tensor& y);

  torch::Tensor forward() { return loss(model->forward(x), y); }
  double floor() const;
};

double Problem::floor() const {
  const auto parameters = model->named_parameters();
  double all = 0;
  for (const auto& p : parameters) all += p.value().dim() == 2 ? p.value().numel() : 0;
  const auto first = static_cast<double>(parameters.begin()->value().numel());
  return (4 * all - 2 * first) / (3 * all - first);
}

template <class Activation>
torch::nn::Sequential layers(const std::vector<int64_t>& widths) {
  torch::nn::Sequential model;
  for (size_t i = 0; i + 1 < widths.size(); ++i) {
    model->push_back(torch::nn::Linear(widths[i], widths[i + 1]));
    if (i + 2 < widths.size()) model->push_back(Activation());
  }
  return model;
}

torch::Tensor softmax_loss(const torch::Tensor& z, const torch::Tensor& y) {
  return F::cross_entropy(z, y);
}
torch::Tensor pixel_loss(const torch::Tensor& z, const torch::Tensor& y) {
  const auto sum = F::BinaryCrossEntropyWithLogitsFuncOptions().reduction(torch::kSum);
  return F::binary_cross_entropy_with_logits(z, y, sum) / z.size(0);
}

constexpr int64_t kBatch = 1000;

Problem classifier() {
  return {"classifier 784-1000-500-250-10", layers<torch::nn::Tanh>({784, 1000, 500, 250, 10}),
          torch::rand({kBatch, 784}), torch::randint(10, {kBatch}, torch::kLong), softmax_loss};
}

Problem autoencoder() {
  const auto x = torch::rand({kBatch, 784});
  return {"autoencoder 784-400-200-100-50-25-6 and back",
          layers<torch::nn::Sigmoid>({784, 400, 200, 100, 50, 25, 6, 25, 50, 100, 200, 400, 784}),
          x, x, pixel_loss};
}

torch::Tensor direction_for(const natgrad::LossGraph& graph) {
  return torch::randn({graph.parameters().size()});
}

// ---- What is timed. ----

void forward_and_backward(benchmark::State& state, Problem problem) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        torch::autograd::grad({problem.forward()}, problem.model->parameters()));
  }
}

template <natgrad::LinearOperator (*curvature)(const natgrad::LossGraph&)>
void product(benchmark::State& state, Problem problem) {
  const natgrad::LossGraph graph(problem.forward(), problem.model->parameters());
  const auto C = curvature(graph);
  const auto v = direction_for(graph);
  C.multiply(v);  // the first one builds Jᵀu as a function of u
  for (auto _ : state) benchmark::DoNotOptimize(C.multiply(v));
}

natgrad::LinearOperator fisher_of(const natgrad::LossGraph& graph) {
  return natgrad::fisher(graph);
}

/// Conjugate gradients; the time is that of one of its products, and of what comes with it.
void solve(benchmark::State& state, Problem problem) {
  const natgrad::LossGraph graph(problem.forward(), problem.model->parameters());
  const auto system = fisher_of(graph) + 1e-2;
  int64_t products = 0;
  const natgrad::LinearOperator counted{"counted", system.size(), system.options(),
                                        [&](const torch::Tensor& v) {
                                          ++products;
                                          return system.multiply(v);
                                        }};
  system.multiply(direction_for(graph));
  const auto solver = natgrad::ConjugateGradient().max_iterations(10).tolerance(1e-12);
  for (auto _ : state) {
    products = 0;
    benchmark::DoNotOptimize(solver.solve({counted, -graph.gradient(), {}}).x);
  }
  state.counters[benchmarks::kParts] = static_cast<double>(products);
}

/// What brings a product's pieces, one for each parameter, into one vector.
void flatten(benchmark::State& state, Problem problem) {
  const natgrad::ParameterLayout layout(problem.model->parameters());
  for (auto _ : state) benchmark::DoNotOptimize(layout.values());
}

// ---- What is reported: medians, and their ratios. ----

constexpr const char *kPass = "pass", *kGaussNewton = "GaussNewton", *kFisher = "Fisher",
                     *kSolve = "solve", *kFlatten = "flatten";

void add_ratios(const benchmarks::Medians& medians, const Problem& problem, double bar,
                benchmarks::Page& page) {
  const auto of = [&](const char* kind) { return medians[problem.name + "/" + kind]; };
  const double vector_work = of(kSolve) - of(kFisher) + of(kFlatten);
  page.row({problem.name, fmt::format("{:.1f}", of(kPass)), fmt::format("{:.2f}", problem.floor()),
            fmt::format("{:.3f}", of(kGaussNewton) / of(kPass)),
            fmt::format("{:.3f}", of(kFisher) / of(kPass)), fmt::format("{:.2f}", bar),
            fmt::format("{:.1f}%", 100 * vector_work / of(kSolve))});
}

void run(const std::string& json) {
  benchmarks::check_json(json);
  const std::vector<std::pair<Problem, double>> problems = {{classifier(), 1.22},
                                                            {autoencoder(), 1.25}};
  for (const auto& [problem, bar] : problems) {
    const auto add = [&, &problem = problem](const char* kind, auto function) {
      benchmark::RegisterBenchmark((problem.name + "/" + kind).c_str(), function, problem)
          ->Unit(benchmark::kMillisecond);
    };
    add(kPass, forward_and_backward);
    add(kGaussNewton, product<natgrad::gauss_newton>);
    add(kFisher, product<fisher_of>);
    add(kSolve, solve);
    add(kFlatten, flatten);
  }
  benchmarks::Medians medians;
  benchmarks::run_benchmarks_or_exit(&medians);
  if (medians.empty()) return;  // asked for a list

  benchmarks::Page page;
  page.heading("Products");
  page.line(
      "CPU time of a product in forward-and-backward passes (medians), and the share of vector "
      "work and flattening in an iteration of conjugate gradients.\n");
  page.head({"network, batch of 1000", "pass, ms", "floor", "Gauss-Newton", "Fisher", "bar",
             "vector work"});
  for (const auto& [problem, bar] : problems) add_ratios(medians, problem, bar, page);
  benchmarks::write_results(json, page, {{"seed", 0}});
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> defaults = {
      "--benchmark_repetitions=15", "--benchmark_enable_random_interleaving=true",
      "--benchmark_display_aggregates_only=true", "--benchmark_min_time=0.2"};
  std::string json;
  benchmarks::start_or_exit(argc, argv, defaults, &json);
  return examples::exit_code("curvature_products", [&] { run(json); });
}
