// A training program whose optimizer its user chooses in a file: a TorchScript module is loaded
// from a file, trained on handwritten digits as a JSON configuration says, and saved. The loop
// knows neither the network nor the optimizer. `--help` lists the options.

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <natgrad/configuration.h>
#include <torch/script.h>
#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <set>
#include <sstream>

#include "support/command_line.h"
#include "support/digits.h"
#include "support/evaluation.h"
#include "support/json.h"
#include "support/output_files.h"

namespace F = torch::nn::functional;
using examples::Batch, examples::Json, torch::Tensor;

namespace {

struct Options {
  std::string configuration = NATGRAD_DATA_DIR "/configured_training.json";
  std::string model;
  std::string data = NATGRAD_DATA_DIR "/digits.csv";
  std::string output = "configured_training";
  uint64_t seed = 0;
};

Options parse_command_line(int argc, char** argv) {
  CLI::App app("Trains a TorchScript module as a JSON configuration says.", "configured_training");
  app.option_defaults()->always_capture_default();
  Options options;
  app.add_option("--config", options.configuration,
                 "JSON: epochs, batch, loss, optimizer, scheduler")
      ->type_name("FILE");
  app.add_option("--model", options.model,
                 "A module that torch.jit.script(model).save(FILE) has written, from 64 pixels to "
                 "10 logits; without one 64-64-10 is made")
      ->type_name("FILE");
  app.add_option("--data", options.data, "Digits as CSV")->type_name("FILE");
  examples::add_seed(app, options.seed, "Of the network's start and the order of examples");
  examples::add_output(app, options.output);
  examples::parse_or_exit(app, argc, argv);
  return options;
}

/// What a configuration holds.
struct Training {
  int64_t epochs = 0, batch = 0;
  std::string loss, optimizer, scheduler;
};

int64_t read_count(const Json& json, const char* name) {
  const bool is_count = json.contains(name) && json[name].is_number_unsigned() && json[name] > 0;
  TORCH_CHECK(is_count, "\"", name, "\" of the configuration is a whole number above 0.");
  return json[name].get<int64_t>();
}

Training read_configuration(const std::string& path) {
  std::ifstream file(path);
  TORCH_CHECK(file, "cannot read the configuration ", path, ".");
  const auto json = Json::parse(file, nullptr, /*allow_exceptions=*/false);
  TORCH_CHECK(json.is_object(), path, " is no JSON object.");
  for (const auto& [name, value] : json.items()) {
    static const std::set<std::string> known = {"epochs", "batch", "loss", "optimizer",
                                                "scheduler"};
    TORCH_CHECK(known.contains(name), "\"", name,
                "\" of the configuration is not known; known are ",
                fmt::format("{}.", fmt::join(known, ", ")));
  }
  return {read_count(json, "epochs"), read_count(json, "batch"),
          json.value("loss", "cross_entropy"), json.value("optimizer", Json("natgrad")).dump(),
          json.value("scheduler", Json("constant")).dump()};
}

using Loss = std::function<Tensor(const Tensor& outputs, const Tensor& targets)>;

Loss loss_named(const std::string& name) {
  const std::map<std::string, Loss> losses = {
      {"cross_entropy", [](const Tensor& z, const Tensor& y) { return F::cross_entropy(z, y); }},
      {"squared_error", [](const Tensor& z, const Tensor& y) {
         return F::mse_loss(z, F::one_hot(y, z.size(1)).to(z.dtype()));
       }}};
  TORCH_CHECK(losses.contains(name), "\"loss\" of the configuration is \"cross_entropy\" or ",
              "\"squared_error\", but got \"", name, "\".");
  return losses.at(name);
}

/// 64-64-10 with tanh, as a script.
torch::jit::Module make_model() {
  torch::jit::Module model("net");
  const auto parameter = [&](const char* name, Tensor value) {
    model.register_parameter(name, value.requires_grad_(), /*is_buffer=*/false);
  };
  parameter("w1", torch::randn({64, 64}) / 8);
  parameter("b1", torch::zeros({64}));
  parameter("w2", torch::randn({10, 64}) / 8);
  parameter("b2", torch::zeros({10}));
  model.define(R"(
    def forward(self, x):
        return torch.addmm(self.b2, torch.addmm(self.b1, x, self.w1.t()).tanh(), self.w2.t())
  )");
  return model;
}

torch::jit::Module load_model(const std::string& path) {
  std::stringstream made;
  if (path.empty()) make_model().save(made);
  try {
    return path.empty() ? torch::jit::load(made) : torch::jit::load(path);
  } catch (const c10::Error&) {
    TORCH_CHECK(false, "cannot read a TorchScript module from ", path, ".");
  }
}

/// The training loop, of any module and any optimizer.
class Trainer {
 public:
  Trainer(torch::jit::Module model, const Training& training)
      : model_(std::move(model)),
        training_(training),
        loss_(loss_named(training.loss)),
        optimizer_(natgrad::make_optimizer(model_, training.optimizer)),
        scheduler_(natgrad::make_scheduler(*optimizer_, training.scheduler)) {}

  void train_epoch(const Batch& examples, const torch::Generator& generator) {
    const auto size = examples.data.size(0);
    for (const auto& rows : examples::shuffled_rows(size, generator).split(training_.batch)) {
      const auto batch = examples::select(examples, rows);
      natgrad::step(*optimizer_, [&] { return loss_of(batch); });
    }
  }
  /// With the training loss, for schedules that go by it.
  void end_epoch(double loss) { scheduler_->step(loss); }

  Tensor loss_of(const Batch& batch) { return loss_(outputs(batch), batch.target); }
  Tensor hits(const Batch& batch) { return outputs(batch).argmax(1) == batch.target; }
  void save(const std::string& path) const { model_.save(path); }

 private:
  Tensor outputs(const Batch& batch) { return model_.forward({batch.data}).toTensor(); }

  torch::jit::Module model_;
  Training training_;
  Loss loss_;
  std::unique_ptr<torch::optim::Optimizer> optimizer_;
  std::unique_ptr<natgrad::Scheduler> scheduler_;
};

Json follow(Trainer& trainer, const examples::Dataset& digits, const Training& training,
            const torch::Generator& generator) {
  const auto loss = [&](const Batch& batch) { return trainer.loss_of(batch); };
  const auto hits = [&](const Batch& batch) { return trainer.hits(batch); };
  Json epochs = Json::array();
  fmt::print("{:>6} {:>14} {:>18}\n", "epoch", "training loss", "held-out accuracy");
  for (int64_t epoch = 1; epoch <= training.epochs; ++epoch) {
    trainer.train_epoch(digits.train, generator);
    const double training_loss = examples::mean_over(digits.train, loss);
    const double accuracy = examples::mean_over(digits.held_out, hits);
    fmt::print("{:6} {:14.4g} {:17.1f}%\n", epoch, training_loss, 100 * accuracy);
    epochs.push_back({{"epoch", epoch}, {"training_loss", training_loss}, {"accuracy", accuracy}});
    trainer.end_epoch(training_loss);
  }
  return epochs;
}

void run(const Options& options) {
  torch::set_num_threads(1);
  torch::manual_seed(options.seed);
  const auto training = read_configuration(options.configuration);
  const auto digits = examples::read_digits(options.data, options.seed);
  examples::check_output(options.output);
  Trainer trainer(load_model(options.model), training);
  fmt::print("{}, {}\n", digits.name, training.optimizer);
  const auto generator = at::make_generator<at::CPUGeneratorImpl>(options.seed);
  const auto epochs = follow(trainer, digits, training, generator);
  trainer.save(options.output + ".pt");
  examples::write_json(options.output + ".json",
                       {{"optimizer", Json::parse(training.optimizer)}, {"epochs", epochs}});
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = parse_command_line(argc, argv);
  return examples::exit_code("configured_training", [&] { run(options); });
}
