#include "support/training.h"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <limits>

#include "support/evaluation.h"

namespace benchmarks {

using examples::Batch, torch::Tensor;

namespace {

torch::nn::Sequential make_model(const Start& start) {
  torch::manual_seed(start.seed);
  return start.task.make_model();
}

}  // namespace

Start::Start(const Task& task, int64_t batch_size, uint64_t seed)
    : task(task),
      data(task.load(seed)),
      batch_size(std::min(batch_size, data.train.data.size(0))),
      seed(seed) {}

Training::Training(const Start& start, const Method& method)
    : start_(start),
      model_(make_model(start)),
      step_(method(model_->parameters())),
      generator_(at::make_generator<at::CPUGeneratorImpl>(start.seed)) {}

Batch Training::next_batch() {
  const auto& train = start_.data.train;
  if (rest_of_epoch_.empty()) {
    const int64_t taken = start_.steps_per_epoch() * start_.batch_size;
    const auto rows = examples::shuffled_rows(train.data.size(0), generator_).slice(0, 0, taken);
    rest_of_epoch_ = rows.split(start_.batch_size);
    std::reverse(rest_of_epoch_.begin(), rest_of_epoch_.end());
  }
  const auto rows = rest_of_epoch_.back();
  rest_of_epoch_.pop_back();
  return examples::select(train, rows);
}

void Training::step() {
  const Batch batch = next_batch();
  const auto begin = std::clock();
  step_(start_.task.loss(model_->forward(batch.data), batch.target));
  seconds_ += static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  ++steps_;
}

double Training::epochs() const {
  return static_cast<double>(steps_) / static_cast<double>(start_.steps_per_epoch());
}

double Training::loss_of(const Batch& examples) {
  const double loss = examples::mean_over(examples, [&](const Batch& batch) {
    return start_.task.loss(model_->forward(batch.data), batch.target);
  });
  return std::isfinite(loss) ? loss : std::numeric_limits<double>::infinity();
}

double Training::training_loss(int64_t most) {
  const auto& [inputs, targets] = start_.data.train;
  const int64_t count = std::min(most, inputs.size(0));
  return loss_of({inputs.narrow(0, 0, count), targets.narrow(0, 0, count)});
}

double Training::held_out() {
  if (!start_.task.hits) return loss_of(start_.data.held_out);
  return examples::mean_over(start_.data.held_out, [&](const Batch& batch) {
    return start_.task.hits(model_->forward(batch.data), batch.target);
  });
}

}  // namespace benchmarks
