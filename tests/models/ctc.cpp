// Four letters in sixteen frames of a recording, with no word on where they stand.

#include "models/models.h"

namespace zoo {

Model ctc() {
  using namespace torch::nn;
  constexpr int64_t kLetters = 4, kFrames = 16, kAlphabet = 5;  // and the blank, 0
  const auto letters = torch::randint(1, kAlphabet + 1, {kExamples, kLetters});
  const auto sounds = torch::randn({kAlphabet + 1, 8});
  const auto clean = sounds.index({letters.repeat_interleave(kFrames / kLetters, 1)});
  const auto x = (clean + 0.3 * torch::randn_like(clean)).transpose(1, 2);  // [512, 8, 16]

  Sequential net(Conv1d(Conv1dOptions(8, 24, 3).padding(1)), ReLU(), Conv1d(24, kAlphabet + 1, 1));

  return {net->parameters(), [=](int64_t batch) mutable {
            const auto logits = net->forward(rows(x, batch)).permute({2, 0, 1});
            return functional::ctc_loss(torch::log_softmax(logits, 2), rows(letters, batch),
                                        torch::full({kBatch}, kFrames, torch::kLong),
                                        torch::full({kBatch}, kLetters, torch::kLong));
          }};
}

}  // namespace zoo
