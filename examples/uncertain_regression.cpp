// Regression with uncertainty: a network with two heads learns the mean of y given x and how far y
// scatters around it, from examples whose noise grows with x. Trained with
// natgrad::NaturalGradient, and, from the same start and on the same batches, with Adam at seven
// learning rates in the same seconds. `--help` lists the options.

#include <fmt/format.h>
#include <natgrad/likelihoods.h>
#include <natgrad/natgrad.h>
#include <torch/torch.h>

#include "support/command_line.h"
#include "support/picture.h"
#include "support/report.h"
#include "support/run_notes.h"
#include "support/trainer.h"

using examples::Batch, examples::TrainingRecord, examples::Model, examples::Task;
using torch::Tensor;

namespace {

constexpr int64_t kExamples = 1000;  // to train on, and as many held out
constexpr double kEdge = 2;          // x lies in [-2, 2]

/// A Gaussian for each x.
struct Gaussians {
  Tensor mean, deviation;

  /// Natural parameters, z = (a, b) with a = μ/σ² and b = -1/(2σ²): [N, 2]. With these, and not
  /// with (μ, log σ), the Gauss-Newton matrix is the Fisher matrix.
  Tensor natural() const {
    const auto precision = deviation.pow(-2);
    return torch::cat({precision * mean, -0.5 * precision}, 1);
  }
  /// Which y lie within two standard deviations: 95.4% of them, if these are the true ones.
  Tensor cover(const Tensor& y) const { return (y - mean).abs() <= 2 * deviation; }
};

/// y = sin(3x) + σ(x) ξ, ξ standard normal.
Gaussians truth(const Tensor& x) { return {torch::sin(3 * x), 0.05 + 0.1 * (x + kEdge)}; }

Tensor loss_of(const Gaussians& gaussians, const Tensor& y) {
  return natgrad::nll(natgrad::NaturalGaussian(gaussians.natural()), y);
}

/// Two heads on one body: the mean, and the logarithm of the standard deviation, which so is
/// positive.
struct NetworkImpl : torch::nn::Module {
  NetworkImpl() {
    register_module("body", body);
    register_module("mean", mean);
    register_module("log_deviation", log_deviation);
  }
  Gaussians forward(const Tensor& x) {
    const auto features = body->forward(x);
    return {mean->forward(features), log_deviation->forward(features).exp()};
  }

  static constexpr int64_t kHidden = 32;
  torch::nn::Sequential body{torch::nn::Linear(1, kHidden), torch::nn::Tanh(),
                             torch::nn::Linear(kHidden, kHidden), torch::nn::Tanh()};
  torch::nn::Linear mean{kHidden, 1}, log_deviation{kHidden, 1};
};
TORCH_MODULE(Network);

/// The same network, with the same weights, at each call.
Network make_network(const Task& task) {
  torch::manual_seed(task.options.seed);
  Network network;
  network->to(task.options.device);
  return network;
}

Model model_of(Network network) {
  const auto loss = [network](const Batch& batch) mutable {
    return loss_of(network->forward(batch.data), batch.target);
  };
  const auto hits = [network](const Batch& batch) mutable {
    return network->forward(batch.data).cover(batch.target);
  };
  return {network.ptr(), loss, hits};
}

examples::TrainingCurve train_with_natural_gradient(const Task& task, const Model& model) {
  natgrad::NaturalGradient optimizer(model.parameters());

  const auto step = [&](const Batch& batch, TrainingRecord& record) {
    optimizer.step(model.loss(batch));
    record.add(optimizer.summary());
  };
  return train(task, "NaturalGradient", model, optimizer, step);
}

Batch draw_examples() {
  const auto x = kEdge * (2 * torch::rand({kExamples, 1}) - 1);
  const auto [mean, deviation] = truth(x);
  return {x, mean + deviation * torch::randn_like(x)};
}

examples::Dataset make_data(uint64_t seed) {
  torch::manual_seed(seed);
  const auto train = draw_examples();
  return {"y = sin 3x + noise", train, draw_examples()};
}

/// What plot_uncertainty.py draws besides the curves.
examples::Json to_json(const Tensor& x, const Gaussians& gaussians) {
  return {{"x", examples::to_json(x.flatten())},
          {"mean", examples::to_json(gaussians.mean.flatten())},
          {"deviation", examples::to_json(gaussians.deviation.flatten())}};
}

void write_results(const Task& task, const std::vector<examples::TrainingCurve>& curves,
                   Network network) {
  const torch::NoGradGuard no_grad;
  const auto &train = task.data.train, &held_out = task.data.held_out;
  const double training_loss = loss_of(truth(train.data), train.target).item<double>();
  const double held_out_loss = loss_of(truth(held_out.data), held_out.target).item<double>();
  print_table(task, curves);
  fmt::print("{:<17}{:>38.3g}{:>22}{:>15.3g}\n", "the truth", training_loss, "", held_out_loss);

  auto json = to_json(task, curves);
  const auto x = torch::linspace(-kEdge, kEdge, 200, task.options.device).unsqueeze(1);
  json["learnt"] = to_json(x, network->forward(x));
  json["truth"] = to_json(x, truth(x));
  json["truth"]["training_loss"] = training_loss;
  json["data"] = {{"x", examples::to_json(train.data.flatten())},
                  {"y", examples::to_json(train.target.flatten())}};
  examples::write_json(task.options.output + ".json", json);
  examples::draw_picture("plot_uncertainty.py", task.options.output);
  examples::remove_checkpoint(task.checkpoint());
}

void run(const examples::TrainingOptions& options) {
  const Task task = start_task(options, make_data(options.seed), "inside ±2σ");
  const auto network = make_network(task);
  std::vector curves{train_with_natural_gradient(task, model_of(network))};
  add_adam(curves, task, [&] { return model_of(make_network(task)); });
  write_results(task, curves, network);
}

}  // namespace

int main(int argc, char** argv) {
  const examples::Program program{
      "uncertain_regression", "Learns the mean and the standard deviation of y for each x.", false};
  const auto options = examples::parse_command_line(argc, argv, program);
  return examples::exit_code(program.name, [&] { run(options); });
}
