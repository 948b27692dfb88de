#include "shim/front_writer.h"

#include <cstring>

#include <elf.h>

namespace okibi::shim {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr unsigned kJumpBytes = 16;

std::uint64_t aligned(std::uint64_t offset, std::uint64_t to) {
  return (offset + to - 1) / to * to;
}

template <class T>
void append(std::string& bytes, const T& value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void pad(std::string& bytes, std::uint64_t to) {
  bytes.resize(aligned(bytes.size(), to));
}

std::uint32_t sysvHash(const std::string& name) {
  std::uint32_t hash = 0;
  for (const char c : name) {
    hash = (hash << 4) + static_cast<unsigned char>(c);
    const std::uint32_t high = hash & 0xf0000000;
    hash = (hash ^ high >> 24) & ~high;
  }
  return hash;
}

// Three segments, file offset equal to address: tables (read), code (execute), data (write).
class Writer {
 public:
  explicit Writer(const FrontPlan& plan) : plan_(plan), count_(plan.exports.functions.size()) {}

  std::string build() {
    collectStrings();
    layOut();
    std::string file = tables();
    file.resize(code_);
    file += code();
    file.resize(data_);
    file += data();
    const std::string top = headers(file.size());
    file.replace(0, top.size(), top);
    return file;
  }

 private:
  std::uint32_t addString(const std::string& text) {
    const auto at = static_cast<std::uint32_t>(strings_.size());
    strings_ += text;
    strings_ += '\0';
    return at;
  }

  void collectStrings() {
    strings_.assign(1, '\0');
    for (const std::string& name : plan_.exports.functions) nameAt_.push_back(addString(name));
    bindAt_ = addString("okibi_shim_bind");
    sonameAt_ = addString(plan_.exports.soname);
    shimAt_ = addString(plan_.shimPath);
    realAt_ = addString(plan_.realPath);
    budgetAt_ = addString(plan_.budgetPath);
  }

  std::uint64_t symbols() const {
    return count_ + 2;
  }  // the null symbol, okibi_shim_bind, the exports
  std::uint64_t buckets() const { return count_ | 1; }
  std::uint64_t relocations() const {
    return count_ + 2;
  }  // slots, the initializer, okibi_shim_bind

  void layOut() {
    symbolsAt_ = aligned(sizeof(Elf64_Ehdr) + kSegments * sizeof(Elf64_Phdr), 16);
    stringsAt_ = symbolsAt_ + symbols() * sizeof(Elf64_Sym);
    hashAt_ = aligned(stringsAt_ + strings_.size(), 8);
    relocationsAt_ = aligned(hashAt_ + 4 * (2 + buckets() + symbols()), 8);
    namesAt_ = relocationsAt_ + relocations() * sizeof(Elf64_Rela);
    code_ = aligned(namesAt_ + count_ * 4, kPage);
    unboundAt_ = code_ + count_ * kJumpBytes;
    startAt_ = unboundAt_ + kJumpBytes;
    data_ = aligned(startAt_ + 2 * kJumpBytes, kPage);
    dynamicAt_ = data_;
    startArrayAt_ = dynamicAt_ + kDynamicEntries * sizeof(Elf64_Dyn);
    bindSlotAt_ = startArrayAt_ + 8;
    frontAt_ = bindSlotAt_ + 8;
    slotsAt_ = frontAt_ + sizeof(Front);
  }

  void appendSymbol(std::string& bytes, std::uint32_t name, std::uint64_t value) const {
    Elf64_Sym symbol{};
    symbol.st_name = name;
    symbol.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
    // Any number but 0 says "defined here"; there are no sections.
    symbol.st_shndx = value ? 1 : SHN_UNDEF;
    symbol.st_value = value;
    symbol.st_size = value ? kJumpBytes : 0;
    append(bytes, symbol);
  }

  std::string hashTable() const {
    std::vector<std::uint32_t> bucket(buckets(), 0), chain(symbols(), 0);
    for (std::uint64_t i = 0; i < count_; ++i) {
      const auto symbol = static_cast<std::uint32_t>(i + 2);
      std::uint32_t& head = bucket[sysvHash(plan_.exports.functions[i]) % buckets()];
      chain[symbol] = head;
      head = symbol;
    }
    std::string bytes;
    append(bytes, static_cast<std::uint32_t>(buckets()));
    append(bytes, static_cast<std::uint32_t>(symbols()));
    for (const std::uint32_t value : bucket) append(bytes, value);
    for (const std::uint32_t value : chain) append(bytes, value);
    return bytes;
  }

  std::string relocationTable() const {
    std::string bytes;
    const auto relative = [&](std::uint64_t at, std::uint64_t to) {
      append(bytes,
             Elf64_Rela{at, ELF64_R_INFO(0, R_X86_64_RELATIVE), static_cast<Elf64_Sxword>(to)});
    };
    for (std::uint64_t i = 0; i < count_; ++i) relative(slotsAt_ + i * 8, unboundAt_);
    relative(startArrayAt_, startAt_);
    append(bytes, Elf64_Rela{bindSlotAt_, ELF64_R_INFO(1, R_X86_64_GLOB_DAT), 0});
    return bytes;
  }

  std::string tables() const {
    std::string bytes;
    bytes.resize(symbolsAt_);
    append(bytes, Elf64_Sym{});
    appendSymbol(bytes, bindAt_, 0);
    for (std::uint64_t i = 0; i < count_; ++i)
      appendSymbol(bytes, nameAt_[i], code_ + i * kJumpBytes);
    bytes += strings_;
    pad(bytes, 8);
    bytes += hashTable();
    pad(bytes, 8);
    bytes += relocationTable();
    for (const std::uint32_t at : nameAt_) append(bytes, at);
    return bytes;
  }

  // `at` is where the four bytes of the displacement stand, the last of their instruction.
  static void appendRelative(std::string& bytes, std::uint64_t at, std::uint64_t target) {
    append(bytes, static_cast<std::int32_t>(static_cast<std::int64_t>(target) -
                                            static_cast<std::int64_t>(at + 4)));
  }

  std::string code() const {
    constexpr const char* kEntry = "\xf3\x0f\x1e\xfa";  // endbr64
    std::string bytes;
    for (std::uint64_t i = 0; i < count_; ++i) {
      bytes += kEntry;
      bytes += "\xff\x25";  // jmp *slot(%rip)
      appendRelative(bytes, code_ + bytes.size(), slotsAt_ + i * 8);
      bytes.append(kJumpBytes - 10, '\xcc');
    }
    bytes += kEntry;
    bytes += std::string("\xb8\x03\x00\x00\x00\xc3", 6);  // mov $3,%eax (not initialized); ret
    bytes.append(kJumpBytes - 10, '\xcc');
    bytes += kEntry;
    bytes += "\x48\x8d\x3d";  // lea front(%rip),%rdi
    appendRelative(bytes, code_ + bytes.size(), frontAt_);
    bytes += "\xff\x25";  // jmp *okibi_shim_bind
    appendRelative(bytes, code_ + bytes.size(), bindSlotAt_);
    pad(bytes, kJumpBytes);
    return bytes;
  }

  std::string dynamicTable() const {
    std::string bytes;
    const auto add = [&](Elf64_Sxword tag, std::uint64_t value) {
      append(bytes, Elf64_Dyn{tag, {value}});
    };
    add(DT_NEEDED, shimAt_);
    add(DT_SONAME, sonameAt_);
    add(DT_HASH, hashAt_);
    add(DT_STRTAB, stringsAt_);
    add(DT_SYMTAB, symbolsAt_);
    add(DT_STRSZ, strings_.size());
    add(DT_SYMENT, sizeof(Elf64_Sym));
    add(DT_RELA, relocationsAt_);
    add(DT_RELASZ, relocations() * sizeof(Elf64_Rela));
    add(DT_RELAENT, sizeof(Elf64_Rela));
    add(DT_INIT_ARRAY, startArrayAt_);
    add(DT_INIT_ARRAYSZ, 8);
    add(DT_FLAGS, DF_BIND_NOW);
    add(DT_FLAGS_1, DF_1_NOW | DF_1_NODELETE);
    add(DT_NULL, 0);
    return bytes;
  }

  std::string data() const {
    std::string bytes = dynamicTable();
    append(bytes, startAt_);
    append(bytes, std::uint64_t{0});
    const auto from = [&](std::uint64_t at) {
      return static_cast<std::int64_t>(at) - static_cast<std::int64_t>(frontAt_);
    };
    append(bytes, Front{.magic = kFrontMagic,
                        .version = kFrontVersion,
                        .count = static_cast<std::uint32_t>(count_),
                        .library = plan_.library,
                        .reserved = 0,
                        .slots = from(slotsAt_),
                        .names = from(namesAt_),
                        .strings = from(stringsAt_),
                        .realPath = from(stringsAt_ + realAt_),
                        .budgetPath = from(stringsAt_ + budgetAt_)});
    bytes.resize(bytes.size() + count_ * 8);
    return bytes;
  }

  static Elf64_Phdr segment(std::uint32_t type, std::uint32_t flags, std::uint64_t at,
                            std::uint64_t bytes, std::uint64_t alignment) {
    return {type, flags, at, at, at, bytes, bytes, alignment};
  }

  std::string headers(std::uint64_t fileBytes) const {
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_type = ET_DYN;
    header.e_machine = EM_X86_64;
    header.e_version = EV_CURRENT;
    header.e_phoff = sizeof header;
    header.e_ehsize = sizeof header;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = kSegments;
    header.e_shentsize = sizeof(Elf64_Shdr);
    std::string bytes;
    append(bytes, header);
    append(bytes, segment(PT_LOAD, PF_R, 0, namesAt_ + count_ * 4, kPage));
    append(bytes, segment(PT_LOAD, PF_R | PF_X, code_, startAt_ + 2 * kJumpBytes - code_, kPage));
    append(bytes, segment(PT_LOAD, PF_R | PF_W, data_, fileBytes - data_, kPage));
    append(bytes,
           segment(PT_DYNAMIC, PF_R | PF_W, dynamicAt_, kDynamicEntries * sizeof(Elf64_Dyn), 8));
    append(bytes, segment(PT_GNU_STACK, PF_R | PF_W, 0, 0, 16));
    return bytes;
  }

  static constexpr unsigned kSegments = 5, kDynamicEntries = 15;

  const FrontPlan& plan_;
  std::uint64_t count_;
  std::string strings_;
  std::vector<std::uint32_t> nameAt_;
  std::uint32_t bindAt_ = 0, sonameAt_ = 0, shimAt_ = 0, realAt_ = 0, budgetAt_ = 0;
  std::uint64_t symbolsAt_ = 0, stringsAt_ = 0, hashAt_ = 0, relocationsAt_ = 0, namesAt_ = 0,
                code_ = 0, unboundAt_ = 0, startAt_ = 0, data_ = 0, dynamicAt_ = 0,
                startArrayAt_ = 0, bindSlotAt_ = 0, frontAt_ = 0, slotsAt_ = 0;
};

}  // namespace

std::string buildFront(const FrontPlan& plan) {
  return Writer(plan).build();
}

}  // namespace okibi::shim
