// What K products with a curvature matrix cost together, as multiply([P, K]) does them, against K
// single ones: one process, one thread, medians of interleaved repeats.

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

/// A classifier with one hidden layer of tanh units on a batch of random data.
struct Network {
  int64_t inputs, hidden, classes, batch;
  std::string name() const {
    return fmt::format("{}-{}-{}, batch of {}", inputs, hidden, classes, batch);
  }
};

natgrad::LossGraph graph_of(const Network& net) {
  torch::nn::Sequential model(torch::nn::Linear(net.inputs, net.hidden), torch::nn::Tanh(),
                              torch::nn::Linear(net.hidden, net.classes));
  const auto x = torch::rand({net.batch, net.inputs});
  const auto y = torch::randint(net.classes, {net.batch}, torch::kLong);
  return {F::cross_entropy(model->forward(x), y), model->parameters()};
}

using Make = natgrad::LinearOperator (*)(const natgrad::LossGraph&);

natgrad::LinearOperator fisher_of(const natgrad::LossGraph& graph) {
  return natgrad::fisher(graph);
}

void together(benchmark::State& state, Network net, Make make, int64_t columns) {
  const auto C = make(graph_of(net));
  const auto block = torch::randn({C.size(), columns});
  C.multiply(block);  // the first one builds Jᵀu as a function of u
  for (auto _ : state) benchmark::DoNotOptimize(C.multiply(block));
}

void one_by_one(benchmark::State& state, Network net, Make make, int64_t columns) {
  const auto C = make(graph_of(net));
  const auto block = torch::randn({columns, C.size()});
  C.multiply(block[0]);
  for (auto _ : state) {
    for (int64_t k = 0; k < columns; ++k) benchmark::DoNotOptimize(C.multiply(block[k]));
  }
}

void run(const std::string& json) {
  benchmarks::check_json(json);
  const std::vector<Network> networks = {
      {4, 8, 3, 32}, {64, 32, 10, 32}, {64, 32, 10, 128}, {784, 100, 10, 128}};
  const std::vector<int64_t> counts = {4, 16, 64};
  const std::vector<std::pair<std::string, Make>> curvatures = {
      {"Fisher", fisher_of},
      {"Gauss-Newton", natgrad::gauss_newton},
      {"Hessian", natgrad::hessian}};
  const auto name = [](const Network& net, const std::string& of, int64_t k, const char* how) {
    return fmt::format("{}/{}/{}/{}", net.name(), of, k, how);
  };
  for (const auto& net : networks) {
    for (const auto& [of, make] : curvatures) {
      for (const int64_t k : counts) {
        benchmark::RegisterBenchmark(name(net, of, k, "together").c_str(), together, net, make, k);
        benchmark::RegisterBenchmark(name(net, of, k, "each").c_str(), one_by_one, net, make, k);
      }
    }
  }
  benchmarks::Medians medians;
  benchmarks::run_benchmarks_or_exit(&medians);
  if (medians.empty()) return;  // asked for a list

  benchmarks::Page page;
  page.heading("Many products");
  page.line("How many times faster K products are together than one by one (medians).\n");
  page.head({"network", "matrix", "K = 4", "K = 16", "K = 64"});
  for (const auto& net : networks) {
    for (const auto& [of, make] : curvatures) {
      std::vector<std::string> row = {net.name(), of};
      for (const int64_t k : counts) {
        row.push_back(fmt::format(
            "{:.1f}", medians[name(net, of, k, "each")] / medians[name(net, of, k, "together")]));
      }
      page.row(row);
    }
  }
  benchmarks::write_results(json, page, {{"seed", 0}});
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> defaults = {
      "--benchmark_repetitions=9", "--benchmark_enable_random_interleaving=true",
      "--benchmark_display_aggregates_only=true", "--benchmark_min_time=0.1"};
  std::string json;
  benchmarks::start_or_exit(argc, argv, defaults, &json);
  return examples::exit_code("many_products", [&] { run(json); });
}
